import type { Decider } from '../decider.ts';

/** Test-only. A domain of marbles in jars: enough to be refused, to change nothing, and to make many events. */
export type JarEvent =
  | { readonly type: 'MarblePut'; readonly data: { readonly colour: string } }
  | { readonly type: 'JarEmptied'; readonly data: Record<never, never> };

export type JarCommand =
  | { readonly type: 'Put'; readonly colours: readonly string[] }
  | { readonly type: 'Empty' }
  | { readonly type: 'Smash' };

export interface Jar {
  readonly marbles: string[];
}

export class JarRefusal extends Error {
  override readonly name = 'JarRefusal';
}

const MARBLES_MAX = 100_000;

export const jars: Decider<Jar, JarCommand, JarEvent> = {
  version: 1,
  initial: () => ({ marbles: [] }),
  evolve: (jar, event) => {
    if (event.type === 'MarblePut') jar.marbles.push(event.data.colour);
    else jar.marbles.length = 0;
    return jar;
  },
  decide: (command, { marbles }) => {
    switch (command.type) {
      case 'Put':
        if (marbles.length + command.colours.length > MARBLES_MAX) throw new JarRefusal('the jar is full');
        return command.colours.map((colour) => ({ type: 'MarblePut', data: { colour } }));
      case 'Empty':
        return marbles.length === 0 ? [] : [{ type: 'JarEmptied', data: {} }];
      case 'Smash':
        throw new JarRefusal('jars are not smashed');
    }
  },
  read: readJarEvent,
  schemaVersionOf: () => '1',
  sizeBytes: ({ marbles }) => marbles.length * 10,
};

function readJarEvent(type: string, schemaVersion: string, data: unknown): JarEvent {
  if (schemaVersion !== '1') throw new TooNew();
  if (type === 'JarEmptied') return { type, data: {} };
  if (type !== 'MarblePut') throw new TooNew();
  const colour = typeof data === 'object' && data !== null && 'colour' in data ? data.colour : undefined;
  if (typeof colour !== 'string') throw new Error('a marble without colour');
  return { type, data: { colour } };
}

/** A domain that may import nothing has an error of its own by that name. */
class TooNew extends Error {
  override readonly name = 'UnknownEvent';
}

export const put = (...colours: string[]): JarCommand => ({ type: 'Put', colours });
export const empty: JarCommand = { type: 'Empty' };
export const smash: JarCommand = { type: 'Smash' };

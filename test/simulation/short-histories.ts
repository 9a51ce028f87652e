import { create, load, newest, oldest, remove } from './journeys.ts';
import { type Script, type ScriptedCommand, ScriptedFate, type Strike } from './script.ts';
import { simulate } from './simulate.ts';
import type { Simulated } from './simulated.ts';

/** What is asked for in short histories. */
const ALPHABET = {
  'create inside': create('internal', { diskOnly: true }),
  'create outside': create('external', { diskOnly: true }),
  'create with memory': () => ({ what: 'create', memory: 'internal' }),
  'create outside with memory in a file': create('external', { memory: 'external' }),
  'create outside with memory in a stream': create('external', {
    memory: 'external',
    memoryFormat: 'stream',
  }),
  load: load(oldest, 'none'),
  'load, the present saved': load(newest, 'disks'),
  merge: remove(oldest, 'merge'),
  discard: remove(newest, 'discard-force'),
} as const satisfies Readonly<Record<string, ScriptedCommand>>;

export type Letter = keyof typeof ALPHABET;
const LETTERS = Object.keys(ALPHABET) as Letter[];

/** A few commands on a machine that is on or off. */
export interface History {
  readonly isOn: boolean;
  readonly letters: readonly Letter[];
}

/** Every sequence of at most so many commands that begins with a create: to an empty machine nothing else can be done. */
export function* histories(lengthMax: number): Generator<History> {
  for (const letters of sequences(lengthMax)) {
    yield { isOn: true, letters };
    if (!letters.some((letter) => letter.includes('memory'))) yield { isOn: false, letters };
  }
}

function* sequences(lengthMax: number, before: readonly Letter[] = []): Generator<readonly Letter[]> {
  for (const letter of LETTERS) {
    if (before.length === 0 && !letter.startsWith('create')) continue;
    const letters = [...before, letter];
    yield letters;
    if (letters.length < lengthMax) yield* sequences(lengthMax, letters);
  }
}

const SEED = 1;

/** One world with that history, in which at most one death strikes. */
export async function livedThrough(
  { isOn, letters }: History,
  strike: Strike | null,
): Promise<{ readonly result: Simulated; readonly fate: ScriptedFate }> {
  const fate = new ScriptedFate(strike);
  const script: Script = { isOn, commands: letters.map((letter) => ALPHABET[letter]), fate };
  return { result: await simulate(SEED, { script }), fate };
}

/** Every death in a history: at the first and at the last pass of each point, in each of its commands. */
export const strikesOf = ({ isOn }: History, passed: readonly ReadonlyMap<string, number>[]): Strike[] =>
  passed.flatMap((points, command) =>
    [...points].flatMap(([point, count]) =>
      [...new Set([1, count])].flatMap((nth) =>
        (isOn ? (['ledgerd', 'qemu'] as const) : (['ledgerd'] as const)).map((victim) => ({
          ...{ victim, command, point, nth },
        })),
      ),
    ),
  );

/** A history and a death in words. */
export const wordsOf = ({ isOn, letters }: History, strike: Strike | null): string =>
  `${isOn ? 'on' : 'off'}: ${letters.join(' · ')}` +
  (strike
    ? ` — ${strike.victim} dies at ${strike.point} (${strike.nth}) of "${letters[strike.command] ?? ''}"`
    : '');

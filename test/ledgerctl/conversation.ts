import { afterEach } from 'vitest';
import { ctl, type Ran, type Terminal } from './ctl.ts';
import { fakeLedgerd, type FakeLedgerd, type Heard, type Route } from './fake-ledgerd.ts';
import { lookups } from './specimens.ts';

/** A ledgerctl and the fake ledgerd it talks to, one pair per command, for the tests of one file. */
export interface Conversation {
  /** Runs the words (split at spaces when they are one text) against these answers, beside those that look names up. */
  running(
    words: string | readonly string[],
    routes?: Readonly<Record<string, Route>>,
    terminal?: Terminal,
  ): Promise<Ran>;
  /** What the last command asked, in order. */
  heard(): readonly Heard[];
  /** The same, as `GET /v1/vms`. */
  asked(): readonly string[];
  lastHeard(): Heard | undefined;
}

export function conversation(): Conversation {
  let ledgerd: FakeLedgerd | null = null;
  afterEach(async () => {
    await ledgerd?.close();
    ledgerd = null;
  });
  const heard = (): readonly Heard[] => ledgerd?.heard ?? [];
  return {
    async running(words, routes = {}, terminal = {}) {
      await ledgerd?.close();
      ledgerd = await fakeLedgerd({ ...lookups, ...routes });
      return ctl(ledgerd.url, typeof words === 'string' ? words.split(' ') : words, terminal);
    },
    heard,
    asked: () => heard().map(({ method, path }) => `${method} ${path}`),
    lastHeard: () => heard().at(-1),
  };
}

import { realWorld, type World } from '#world';
import { realHttp } from '../../apps/ledgerctl/real-http.ts';
import { run } from '../../apps/ledgerctl/program.ts';
import type { ExitCode } from '../../apps/ledgerctl/exit.ts';
import type { Sink, Surroundings } from '../../apps/ledgerctl/surroundings.ts';

/** What a run of ledgerctl left behind. */
export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** A terminal of 80 columns that reads UTF-8. */
export interface Terminal {
  readonly isTerminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly interrupted?: AbortSignal;
  /** Called with everything that is printed, as it is printed. */
  readonly seen?: (text: string) => void;
}

/** Runs ledgerctl in this process against a ledgerd, in a world where sleeping takes no time. */
export async function ctl(url: string, words: readonly string[], terminal: Terminal = {}): Promise<Ran> {
  const texts = { out: '', err: '' };
  const { isTerminal = false, env = {}, interrupted = new AbortController().signal, seen } = terminal;
  const sink = (name: 'out' | 'err'): Sink => ({
    isTerminal,
    columns: 80,
    async write(text) {
      texts[name] += text;
      seen?.(text);
    },
  });
  const around: Surroundings = {
    out: sink('out'),
    err: sink('err'),
    env: { LANG: 'C.UTF-8', SNAPLEDGER_URL: url, ...env },
    cwd: import.meta.dirname,
    hostname: 'here',
    version: '0.0.0',
    http: realHttp(),
    world: async () => hastyWorld(),
    interrupted,
  };
  const code = await run(words, around);
  return { code, ...texts };
}

/** The real world, but whoever sleeps wakes at once, as much later as was asked for. */
function hastyWorld(): World {
  let nowMs = 0;
  const world = realWorld();
  return {
    ...world,
    clock: {
      now: () => nowMs,
      monotonic: () => nowMs,
      async sleep(ms) {
        nowMs += ms;
        await world.turn();
      },
    },
  };
}

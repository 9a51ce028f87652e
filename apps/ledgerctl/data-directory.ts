import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ownTrouble } from './problem.ts';
import type { Session } from './session.ts';

/** As ledgerd calls them inside its data directory. */
const LOG_FILE = 'ledger.sqlite';
const VIEWS_FILE = 'views.sqlite';

const STORE_PREFIX = 'sqlite:';

/** Where the person says that the data are. */
export interface DataOptions {
  readonly data?: string;
  readonly store?: string;
}

/** The options that name a data directory. */
export const withData = (command: Command): Command =>
  command
    .option('--data <dir>', 'data directory of ledgerd (SNAPLEDGER_DATA; ./data)')
    .option('--store <store>', 'sqlite:FILE of a log outside of it (SNAPLEDGER_STORE)');

export interface Places {
  readonly log: string;
  readonly views: string;
}

/** @throws {Trouble} `usage` when the log is in no file */
export function placesIn({ around }: Session, options: DataOptions): Places {
  const { cwd, env } = around;
  const data = resolve(cwd, options.data ?? env['SNAPLEDGER_DATA'] ?? 'data');
  const store = options.store ?? env['SNAPLEDGER_STORE'] ?? STORE_PREFIX;
  if (!store.startsWith(STORE_PREFIX)) {
    throw ownTrouble('usage', `"${store}" is no file: only a log in a sqlite:FILE can be copied or rebuilt`);
  }
  const file = store.slice(STORE_PREFIX.length);
  return { log: file === '' ? join(data, LOG_FILE) : resolve(cwd, file), views: join(data, VIEWS_FILE) };
}

/** Without this look a wrong directory would be given a new, empty log. */
export async function requireLog({ around }: Session, file: string): Promise<void> {
  const { files } = await around.world();
  if (!(await files.stat(file))) throw ownTrouble('data-unusable', `there is no ${file}`);
}

/** Works on a log until it is done or the person stops it. What the store complains of becomes a `Trouble`. */
export async function carriedOut<T>({ around }: Session, work: () => Promise<T>): Promise<T> {
  const { StoreTrouble } = await import('#event-store');
  try {
    return await Promise.race([work(), stopped(around.interrupted)]);
  } catch (error) {
    if (!(error instanceof StoreTrouble)) throw error;
    throw ownTrouble(error.kind === 'locked' ? 'data-in-use' : 'data-unusable', error.message);
  }
}

/** Never resolves. The process ends right after it has rejected, and with it the work. */
const stopped = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const stop = (): void =>
      reject(ownTrouble('interrupted', 'stopped', { next: 'a half-made FILE.partial may be removed' }));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });

import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ownTrouble } from '../problem.ts';
import { readingOf } from '../progress.ts';
import { safeJson } from '../screen.ts';
import type { Does, Session } from '../session.ts';
import { facts } from '../table.ts';

/** As ledgerd calls them inside its data directory. */
const LOG_FILE = 'ledger.sqlite';
const VIEWS_FILE = 'views.sqlite';

const STORE_PREFIX = 'sqlite:';

interface DataOptions {
  readonly data?: string;
  readonly store?: string;
}

/** What is done to a data directory, without ledgerd. */
export function dataCommands(program: Command, does: Does): void {
  const about = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--data <dir>', 'data directory of ledgerd (SNAPLEDGER_DATA; ./data)')
      .option('--store <store>', 'sqlite:FILE of a log outside of it (SNAPLEDGER_STORE)');
  about('rebuild', 'build all that is shown anew from the log; ledgerd must not run').action(does(rebuild));
  about('backup', 'copy the log into a file and verify the copy; ledgerd may run')
    .argument('<FILE>', 'where to; it must not exist')
    .action(does(backUp));
  about('restore', 'put a backup where ledgerd will look for its log; there must be none')
    .argument('<FILE>', 'the backup')
    .action(does(restoreFrom));
}

interface Places {
  readonly log: string;
  readonly views: string;
}

function placesIn({ around }: Session, options: DataOptions): Places {
  const { cwd, env } = around;
  const data = resolve(cwd, options.data ?? env['SNAPLEDGER_DATA'] ?? 'data');
  const store = options.store ?? env['SNAPLEDGER_STORE'] ?? STORE_PREFIX;
  if (!store.startsWith(STORE_PREFIX)) {
    throw ownTrouble('usage', `"${store}" is no file: only a log in a sqlite:FILE can be copied or rebuilt`);
  }
  const file = store.slice(STORE_PREFIX.length);
  return { log: file === '' ? join(data, LOG_FILE) : resolve(cwd, file), views: join(data, VIEWS_FILE) };
}

async function rebuild(session: Session, options: DataOptions): Promise<void> {
  const { log, views } = placesIn(session, options);
  await requireLog(session, log);
  const world = await session.around.world();
  const { openSqliteStore } = await import('#event-store');
  const { rebuildViews } = await import('#views');
  await session.remark(`reading ${log}`);
  const show = readingOf(session);
  const { events } = await carriedOut(session, async () => {
    const store = await openSqliteStore(world, log);
    const rebuilt = await rebuildViews({ world, store, file: views, onProgress: show });
    await store.close();
    return rebuilt;
  }).finally(() => show(null));
  await tell(session, { did: 'rebuilt from', file: log, counts: { events } });
}

async function backUp(session: Session, word: string, options: DataOptions): Promise<void> {
  const { log } = placesIn(session, options);
  const file = resolve(session.around.cwd, word);
  await requireLog(session, log);
  const { backup } = await import('#event-store');
  await session.remark(`copying and verifying ${log}`);
  const { events, streams } = await carriedOut(session, () => backup(log, file));
  await tell(session, { did: 'backed up', file, counts: { events, streams } });
}

async function restoreFrom(session: Session, word: string, options: DataOptions): Promise<void> {
  const { log } = placesIn(session, options);
  const source = resolve(session.around.cwd, word);
  await requireLog(session, source);
  const { files } = await session.around.world();
  const { restore } = await import('#event-store');
  await files.makeDirectory(dirname(log));
  await session.remark(`verifying and copying ${source}`);
  const { events, streams } = await carriedOut(session, () => restore(source, log));
  await tell(session, { did: 'restored', file: log, counts: { events, streams } });
}

/** Without this look a wrong directory would be given a new, empty log. */
async function requireLog({ around }: Session, file: string): Promise<void> {
  const { files } = await around.world();
  if (!(await files.stat(file))) throw ownTrouble('data-unusable', `there is no ${file}`);
}

interface Told {
  readonly did: string;
  readonly file: string;
  readonly counts: Readonly<Record<string, number>>;
}

async function tell({ isJson, print, screen }: Session, { did, file, counts }: Told): Promise<void> {
  if (isJson) return print(`${safeJson(JSON.stringify({ file, ...counts }))}\n`);
  const counted = Object.entries(counts).map(([what, count]) => [what, `${count}`] as const);
  await print(facts([[did, screen.text(file)], ...counted]));
}

/** Works on a log until it is done or the person stops it. What the store complains of becomes a `Trouble`. */
async function carriedOut<T>({ around }: Session, work: () => Promise<T>): Promise<T> {
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

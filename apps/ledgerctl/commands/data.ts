import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { carriedOut, type DataOptions, placesIn, requireLog, withData } from '../data-directory.ts';
import { readingOf } from '../progress.ts';
import { safeJson } from '../screen.ts';
import type { Does, Session } from '../session.ts';
import { facts } from '../table.ts';

/** What is done to a data directory, without ledgerd. */
export function dataCommands(program: Command, does: Does): void {
  const about = (name: string, description: string): Command =>
    withData(program.command(name)).description(description);
  about('rebuild', 'build all that is shown anew from the log; ledgerd must not run').action(does(rebuild));
  about('backup', 'copy the log into a file and verify the copy; ledgerd may run')
    .argument('<FILE>', 'where to; it must not exist')
    .action(does(backUp));
  about('restore', 'put a backup where ledgerd will look for its log; there must be none')
    .argument('<FILE>', 'the backup')
    .action(does(restoreFrom));
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

import { hash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { realWorld } from '#world';
import type { EventStore } from '../../store.ts';
import { recordForeign } from '../../story/ledger.ts';
import { openSqliteStore } from '../sqlite-store.ts';

/** Test-only. A directory of its own, gone when the test is. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-sqlite-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export const newFile = (): string => join(newDirectory(), 'ledger.sqlite');

/** Opens the log and closes it with the test. */
export async function openLog(file: string): Promise<EventStore> {
  const store = await openSqliteStore(realWorld(), file);
  onTestFinished(() => store.close());
  return store;
}

/** Records `count` events in one commit. */
export const recordSome = (store: EventStore, stream: string, count: number): Promise<void> =>
  recordForeign(
    store,
    stream,
    Array.from({ length: count }, (_, index) => ({
      type: 'Happened',
      data: { index, filler: 'x'.repeat(200) },
    })),
  );

/** A log of `commits` commits with two events each, closed: nothing is left in the write-ahead log. */
export async function closedLog(commits = 3): Promise<string> {
  const file = newFile();
  const store = await openSqliteStore(realWorld(), file);
  for (let commit = 0; commit < commits; commit += 1) await recordSome(store, `s${commit % 2}`, 2);
  await store.close();
  return file;
}

/** The same as a killed process leaves it: everything since its start is in the write-ahead log only. */
export async function killedLog(commits = 5): Promise<string> {
  const file = await closedLog();
  const store = await openSqliteStore(realWorld(), file);
  for (let commit = 0; commit < commits; commit += 1) await recordSome(store, `s${commit % 2}`, 2);
  const copy = newFile();
  for (const end of ['', '-wal']) cpSync(`${file}${end}`, `${copy}${end}`);
  await store.close();
  return copy;
}

/** What stands in a file and beside it, in few letters. */
export const digestsOf = (file: string): (string | null)[] =>
  [file, `${file}-wal`].map((path) => (existsSync(path) ? hash('sha256', readFileSync(path)) : null));

import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sqliteCode, told, translated, trouble } from './trouble.ts';

const SQLITE_BUSY = 5;

/** The one path of a file, whatever links lead to it: one file must have one lock. */
export const realPathOf = (file: string): string =>
  told(file, () =>
    existsSync(file) ? realpathSync(file) : join(realpathSync(dirname(file)), basename(file)),
  );

/**
 * Makes this process the only one that appends to `file`, until `close()` is called or the process is gone,
 * however it goes. Throws a `StoreTrouble` of kind `locked`, at once, when another one is.
 *
 * The lock is SQLite's own, on an empty database beside the file. The file itself stays free for readers.
 */
export function takeLock(file: string): DatabaseSync {
  const path = `${file}.lock`;
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (sqliteCode(error) !== SQLITE_BUSY) throw translated(error, path);
    throw trouble(
      'locked',
      file,
      `only one process may write to a log: stop the other one first; it holds ${path}`,
    );
  }
}

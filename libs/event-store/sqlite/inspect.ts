import { statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { DatabaseSync } from 'node:sqlite';
import { APPLICATION_ID, FILE_VERSION, TABLES } from './schema.ts';
import { told, trouble } from './trouble.ts';
import { walDamage } from './wal.ts';

/**
 * Looks at what stands at `file` without changing a byte there. Throws a `StoreTrouble` of kind `foreign`,
 * `newer` or `damaged` when this program must keep its hands off. The caller holds the lock.
 */
export function inspect(file: string): 'missing' | 'ours' {
  return told(file, () => {
    const found = statSync(file, { throwIfNoEntry: false });
    const hasWal = (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
    if (found && !found.isFile()) throw trouble('foreign', file, 'it is not a regular file');
    if (!found || found.size === 0) {
      if (!hasWal) return 'missing';
      throw trouble('damaged', file, 'it is gone or empty, but its write-ahead log is not');
    }
    checked(file, alone(file), hasWal ? [requireOurs] : [requireOurs, requireWhole]).close();
    if (hasWal) inspectWal(file);
    return 'ours';
  });
}

function inspectWal(file: string): void {
  const damage = walDamage(`${file}-wal`);
  if (damage) throw trouble('damaged', file, damage);
  openForReading(file).close();
}

/** Opens a log for reading and checks all of it but the chains. Others may append meanwhile. */
export const openForReading = (file: string): DatabaseSync =>
  told(file, () => checked(file, file, [requireOurs, requireWhole]));

/**
 * The file without its write-ahead log, in a way that leaves nothing beside a stranger's file. Not through
 * `node:fs`: closing a file that SQLite has open elsewhere in this process would drop its locks.
 */
function alone(file: string): URL {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  return url;
}

type Check = (db: DatabaseSync, file: string) => void;

function checked(file: string, location: string | URL, checks: readonly Check[]): DatabaseSync {
  const db = new DatabaseSync(location, { readOnly: true });
  try {
    for (const check of checks) check(db, file);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function requireOurs(db: DatabaseSync, file: string): void {
  const id = pragma(db, 'application_id');
  if (id !== APPLICATION_ID) throw trouble('foreign', file, `its application id is ${String(id)}`);
}

function requireWhole(db: DatabaseSync, file: string): void {
  const version = Number(pragma(db, 'user_version'));
  if (version > FILE_VERSION) throw trouble('newer', file, `its version is ${version}, not ${FILE_VERSION}`);
  if (version < FILE_VERSION) throw trouble('damaged', file, `its version is ${version}`);
  const check = pragma(db, 'quick_check(1)', 'quick_check');
  if (check !== 'ok') throw trouble('damaged', file, String(check));
  const tables = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type <> 'index' ORDER BY name").all();
  const areOurs = tables.every(({ name, sql }) => TABLES[String(name)] === sql);
  if (!areOurs || tables.length !== Object.keys(TABLES).length) {
    throw trouble('damaged', file, 'its tables are not those of a log');
  }
}

const pragma = (db: DatabaseSync, query: string, column = query): unknown =>
  db.prepare(`PRAGMA ${query}`).get()?.[column];

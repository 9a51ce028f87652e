import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { StoreTrouble } from '#event-store';
import type { World } from '#world';
import { isBroken, isLocked } from '../sql.ts';
import { ALL_TABLES } from './projection.ts';

/** "SLDV", in the file's header. */
const APPLICATION_ID = 0x53_4c_44_56;

/** A file of views that lives in memory: it is built anew at every start. */
const IN_MEMORY = ':memory:';

/**
 * A larger file is not looked through at the start, which would take seconds: what is wrong with it is found when
 * somebody comes across it.
 */
const LOOKED_THROUGH_BYTES_MAX = 32 * 1024 * 1024;

/**
 * Nobody but us may touch the file while it is open, and then SQLite needs no memory shared with others. Views can
 * be built again, so a commit need not be on disk. The page cache (in KiB) is small: the kernel keeps the file as well.
 */
const SETTINGS = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA synchronous = NORMAL;
  PRAGMA cache_size = -8192;
  PRAGMA wal_autocheckpoint = 16000;
  PRAGMA journal_size_limit = 67108864`;

/** Changes whenever what the views keep does: a file with another number is of another program. */
const FILE_VERSION = createHash('sha256').update(JSON.stringify(ALL_TABLES)).digest().readInt32BE();

export interface ViewsFile {
  readonly db: DatabaseSync;
  /** The indexes that it has not got yet: all of them when it is new, and then a transaction is open. */
  readonly missing: readonly string[];
}

/**
 * Opens the views in `file`, or begins them when there are none that this program could go on with; `onDrop` hears
 * why. A file that is begun comes with an open transaction: it is built in one piece or not at all.
 *
 * @throws {StoreTrouble} `locked` when another process has it open
 */
export async function openFile(
  world: World,
  file: string,
  onDrop: (why: string) => void,
): Promise<ViewsFile> {
  if (file === IN_MEMORY) return begun(new DatabaseSync(file));
  const kept = await openKept(world, file, onDrop);
  if (kept) return { db: kept, missing: [] };
  await removeFile(world, file);
  return begun(new DatabaseSync(file, { timeout: 0 }));
}

/** Removes the views, and what SQLite keeps beside them. */
export async function removeFile(world: World, file: string): Promise<void> {
  if (file === IN_MEMORY) return;
  for (const path of [file, `${file}-wal`, `${file}-shm`, `${file}-journal`]) await world.files.unlink(path);
}

/** Makes what was built the file's content. From here on there are small transactions. */
export function finish(db: DatabaseSync): void {
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FILE_VERSION}; COMMIT`);
  db.exec('PRAGMA journal_mode = WAL');
}

function begun(db: DatabaseSync): ViewsFile {
  db.exec(`${SETTINGS}; BEGIN EXCLUSIVE`);
  for (const { tables } of ALL_TABLES) db.exec(tables);
  return { db, missing: ALL_TABLES.flatMap(({ indexes }) => indexes) };
}

async function openKept(
  world: World,
  file: string,
  onDrop: (why: string) => void,
): Promise<DatabaseSync | null> {
  const found = await world.files.stat(file);
  if (!found || found.sizeBytes === 0) return null;
  const db = new DatabaseSync(file, { timeout: 0 });
  const why = reasonToDrop(db, file, found.sizeBytes);
  if (why === null) return db;
  db.close();
  onDrop(why);
  return null;
}

function reasonToDrop(db: DatabaseSync, file: string, sizeBytes: number): string | null {
  try {
    db.exec(SETTINGS);
    const why = whyForeign(db);
    if (why !== null) return why;
    const isChecked = sizeBytes > LOOKED_THROUGH_BYTES_MAX || pragma(db, 'quick_check') === 'ok';
    return isChecked ? null : 'it is damaged';
  } catch (error) {
    if (isBroken(error)) return `it is damaged: ${String(error)}`;
    db.close();
    throw isLocked(error) ? new StoreTrouble('locked', `${file}: another process has the views open`) : error;
  }
}

/** Why a file holds no views that this program could have made; null when it does. */
export function whyForeign(db: DatabaseSync): string | null {
  if (pragma(db, 'application_id') !== APPLICATION_ID) return 'it holds no views, or unfinished ones';
  if (pragma(db, 'user_version') !== FILE_VERSION) return 'another version of the program made it';
  return schemaOf(db) === wantedSchema() ? null : 'its tables are not those of the views';
}

const pragma = (db: DatabaseSync, name: string): unknown => db.prepare(`PRAGMA ${name}`).get()?.[name];

const schemaOf = (db: DatabaseSync): string =>
  JSON.stringify(db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all());

function wantedSchema(): string {
  const { db, missing } = begun(new DatabaseSync(IN_MEMORY));
  for (const index of missing) db.exec(index);
  const schema = schemaOf(db);
  db.close();
  return schema;
}

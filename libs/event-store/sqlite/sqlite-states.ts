import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { PersistedState, StateStore } from '../state-store.ts';

/** "SLDS", in the file's header. */
const APPLICATION_ID = 0x53_4c_44_53;

/** In the file's header too. Raised when what is kept of a state changes: older files are then thrown away. */
const FILE_VERSION = 1;

/** Nothing is synced: a state that a crash has torn is found out by its checksum and folded anew. */
const SETTINGS = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA journal_size_limit = 67108864';

const TABLE = `
  CREATE TABLE states (
    stream TEXT PRIMARY KEY, version INTEGER, hash TEXT, evolve_version INTEGER, bytes BLOB, checksum TEXT
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FILE_VERSION}`;

/**
 * Keeps states in `file`, which is nobody's only copy of anything: when it cannot be used it is removed and
 * begun anew. Never throws; `onTrouble` hears of what did not work.
 */
export function openSqliteStates(file: string, onTrouble: (error: unknown) => void): StateStore {
  const kept = attempt(() => opened(file), onTrouble) ?? attempt(() => begun(file), onTrouble);
  return {
    get: async (stream) => attempt(() => believed(stream, kept?.select.get(stream)), onTrouble),
    put: async (stream, state) => {
      const { version, hash, evolveVersion, bytes } = state;
      const row = [stream, version, hash, evolveVersion, bytes, checksumOf(stream, state)];
      attempt(() => kept?.upsert.run(...row), onTrouble);
    },
    close: async () => void attempt(() => kept?.db.close(), onTrouble),
  };
}

function attempt<T>(work: () => T, onTrouble: (error: unknown) => void): T | null {
  try {
    return work();
  } catch (error) {
    onTrouble(error);
    return null;
  }
}

/** Null when there is no file of ours. */
function opened(file: string) {
  const db = new DatabaseSync(file);
  try {
    const read = (name: string): unknown => db.prepare(`PRAGMA ${name}`).get()?.[name];
    const isOurs = read('application_id') === APPLICATION_ID && read('user_version') === FILE_VERSION;
    if (isOurs && read('quick_check') === 'ok') return prepared(db);
  } catch (error) {
    db.close();
    throw error;
  }
  db.close();
  return null;
}

function begun(file: string) {
  for (const path of [file, `${file}-wal`, `${file}-shm`, `${file}-journal`]) rmSync(path, { force: true });
  const db = new DatabaseSync(file);
  db.exec(TABLE);
  return prepared(db);
}

function prepared(db: DatabaseSync) {
  db.exec(SETTINGS);
  const select = 'SELECT version, hash, evolve_version, bytes, checksum FROM states WHERE stream = ?';
  const upsert = 'INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?)';
  return { db, select: db.prepare(select), upsert: db.prepare(upsert) };
}

function believed(stream: string, row: Readonly<Record<string, unknown>> | undefined): PersistedState | null {
  const { version, hash, evolve_version: evolveVersion, bytes, checksum } = row ?? {};
  if (typeof version !== 'number' || typeof evolveVersion !== 'number') return null;
  if (typeof hash !== 'string' || !(bytes instanceof Uint8Array)) return null;
  const state = { version, hash, evolveVersion, bytes };
  return checksumOf(stream, state) === checksum ? state : null;
}

function checksumOf(stream: string, { version, hash, evolveVersion, bytes }: PersistedState): string {
  return createHash('sha256')
    .update(JSON.stringify([stream, version, hash, evolveVersion]))
    .update(bytes)
    .digest('hex');
}

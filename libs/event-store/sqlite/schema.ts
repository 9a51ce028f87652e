import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreTrouble } from '../store.ts';
import { told } from './trouble.ts';

/** "SLDG", in the file's header: tells our logs from other people's databases. */
export const APPLICATION_ID = 0x53_4c_44_47;

/** The shape of the file, in its header too. Raised when an older program could not use it any more. */
export const FILE_VERSION = 1;

/**
 * Hashes are hex: they are read far more often than written, and anybody with a SQL shell can compare them.
 * A stream's head is its last event, so that nothing is said twice and an append is one insert.
 */
export const TABLES: Readonly<Record<string, string>> = {
  events:
    'CREATE TABLE events (position INTEGER PRIMARY KEY, stream_id INTEGER NOT NULL, version INTEGER NOT NULL, ' +
    'previous_hash TEXT NOT NULL, hash TEXT NOT NULL, record TEXT NOT NULL, UNIQUE (stream_id, version)) STRICT',
  streams: 'CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT',
};

const SQLITE_VERSION_MIN = '3.51.3';

/** Whether this SQLite may write a log. Older ones can corrupt a write-ahead log when it is reset. */
export const isTrusted = (version: string): boolean =>
  version.localeCompare(SQLITE_VERSION_MIN, 'en', { numeric: true }) >= 0;

/** Throws when the SQLite of this Node.js must not be let near a log. */
export function requireTrustedSqlite(): void {
  const memory = new DatabaseSync(':memory:');
  const version = String(memory.prepare('SELECT sqlite_version() AS version').get()?.['version']);
  memory.close();
  if (isTrusted(version)) return;
  throw new StoreTrouble(
    'unavailable',
    `SQLite ${version} can corrupt a log, ${SQLITE_VERSION_MIN} is the least: update Node.js`,
  );
}

/**
 * Makes a new, empty log. It is built beside its place and renamed into it, so that a crash leaves either no
 * log or a whole one. The caller holds the lock.
 */
export function createFile(file: string): void {
  const draft = `${file}.new`;
  told(draft, () => {
    for (const left of [draft, `${draft}-journal`]) rmSync(left, { force: true });
    const db = new DatabaseSync(draft);
    db.exec(`BEGIN; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FILE_VERSION}`);
    for (const table of Object.values(TABLES)) db.exec(table);
    db.exec('COMMIT');
    db.close();
    putInPlace(draft, file);
  });
}

/** Gives a finished file its name, and makes both survive power loss. */
export function putInPlace(draft: string, file: string): void {
  sync(draft);
  renameSync(draft, file);
  sync(dirname(file));
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

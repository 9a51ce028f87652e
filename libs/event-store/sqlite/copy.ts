import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { backup as copyPages, DatabaseSync } from 'node:sqlite';
import { StoreTrouble } from '../store.ts';
import { openForReading } from './inspect.ts';
import { realPathOf, takeLock } from './lock.ts';
import { putInPlace } from './schema.ts';
import { told, translated } from './trouble.ts';
import { type Verified, verifyChains, verifyFile } from './verify.ts';

/** All pages in one step: between two steps an append would make SQLite begin again. Runs on another thread. */
const PAGES_PER_STEP = 2 ** 31 - 1;

/**
 * Copies a log while it is in use. The copy is one file, verified and synced before it gets its name; `target`
 * must not exist. Throws a `StoreTrouble`, and leaves nothing behind.
 */
export async function backup(file: string, target: string): Promise<Verified> {
  return await copy(file, target);
}

/**
 * Puts a backup where a ledgerd will look for its log; `target` must not exist. What is derived from the log
 * (views, states) is not part of a backup: it builds itself anew. Throws a `StoreTrouble`.
 */
export async function restore(backupFile: string, target: string): Promise<Verified> {
  await verifyFile(backupFile);
  requireFree(target);
  const lock = takeLock(realPathOf(target));
  try {
    return await copy(backupFile, target);
  } finally {
    lock.close();
  }
}

async function copy(source: string, target: string): Promise<Verified> {
  requireFree(target);
  const db = openForReading(source);
  const draft = `${target}.partial`;
  try {
    claim(draft);
    return await fill(draft, db, target);
  } finally {
    db.close();
  }
}

function requireFree(target: string): void {
  for (const path of [target, `${target}-wal`, `${target}-journal`]) {
    if (existsSync(path))
      throw new StoreTrouble('unavailable', `${path} exists: nothing is ever overwritten`);
  }
}

/** Fails when the draft exists: another copy is being made, or died and left it. */
function claim(draft: string): void {
  if (existsSync(draft)) {
    throw new StoreTrouble('unavailable', `${draft} exists: if no other copy is being made, remove it`);
  }
  told(draft, () => closeSync(openSync(draft, 'wx')));
}

async function fill(draft: string, source: DatabaseSync, target: string): Promise<Verified> {
  try {
    await copyPages(source, draft, { rate: PAGES_PER_STEP });
    const verified = await verifyCopy(draft);
    told(target, () => putInPlace(draft, target));
    return verified;
  } catch (error) {
    for (const left of [draft, `${draft}-wal`, `${draft}-shm`, `${draft}-journal`])
      rmSync(left, { force: true });
    throw translated(error, draft);
  }
}

async function verifyCopy(draft: string): Promise<Verified> {
  const db = new DatabaseSync(draft);
  try {
    db.exec('PRAGMA journal_mode = DELETE'); // One file, whole by itself, readable on a read-only disk.
    return await verifyChains(db, draft);
  } finally {
    db.close();
  }
}

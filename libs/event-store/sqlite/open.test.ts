import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { realWorld } from '#world';
import type { StoreTroubleKind } from '../store.ts';
import { sealedAfter } from '../story/ledger.ts';
import { createFile, isTrusted } from './schema.ts';
import { openSqliteStore } from './sqlite-store.ts';
import {
  digestsOf,
  closedLog,
  killedLog,
  newDirectory,
  newFile,
  openLog,
  recordSome,
} from './story/files.ts';

const trouble = (kind: StoreTroubleKind) => expect.objectContaining({ name: 'StoreTrouble', kind });

/** The file cannot be opened, says why, and is as it was to the last byte. */
async function expectHandsOff(file: string, kind: StoreTroubleKind): Promise<void> {
  const before = digestsOf(file);
  await expect(openSqliteStore(realWorld(), file)).rejects.toEqual(trouble(kind));
  expect(digestsOf(file)).toEqual(before);
}

function execute(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

function overwrite(file: string, offset: number, bytes: Buffer): void {
  const content = readFileSync(file);
  bytes.copy(content, offset);
  writeFileSync(file, content);
}

describe('a new log', () => {
  test('is made where there is no file, or an empty one', async () => {
    const file = newFile();
    await (await openLog(file)).close();
    const empty = newFile();
    writeFileSync(empty, '');
    const store = await openLog(empty);
    await recordSome(store, 's', 1);
    expect((await store.read('s')).head.version).toBe(1);
  });

  test.each([
    ['nothing yet', () => undefined],
    ['a torn draft', (file: string) => writeFileSync(`${file}.new`, 'SQLite format 3\0torn')],
    ['a finished draft', (file: string) => createFile(`${file}.new`)],
    [
      'a draft that was being written',
      (file: string) => {
        writeFileSync(`${file}.new`, '');
        writeFileSync(`${file}.new-journal`, Buffer.alloc(512, 0xd9));
      },
    ],
  ])('is made after a crash that left %s', async (_, crash) => {
    const file = newFile();
    crash(file);
    await recordSome(await openLog(file), 's', 1);
    expect(readdirSync(dirname(file)).filter((name) => name.includes('.new'))).toEqual([]);
  });

  test('is ours by its header', async () => {
    const header = readFileSync(await closedLog());
    expect(header.toString('latin1', 68, 72)).toBe('SLDG');
    expect(header.readUInt32BE(60)).toBe(1);
  });
});

describe('a log', () => {
  test('that another one has open is locked, at once, and says so', async () => {
    const file = newFile();
    const store = await openLog(file);
    await recordSome(store, 's', 1);
    await expectHandsOff(file, 'locked');
    await expect(openSqliteStore(realWorld(), file)).rejects.toThrow(/only one process may write/);
    await recordSome(store, 's', 1);
    await store.close();
    expect((await (await openLog(file)).read('s')).head.version).toBe(2);
  });

  test('is locked whatever link leads to it', async () => {
    const file = newFile();
    const store = await openLog(file);
    const link = join(newDirectory(), 'link.sqlite');
    symlinkSync(file, link);
    await expect(openSqliteStore(realWorld(), link)).rejects.toEqual(trouble('locked'));
    await store.close();
    await openLog(link);
    await expectHandsOff(file, 'locked');
  });

  test('that a killed process left behind is whole and free', async () => {
    const store = await openLog(await killedLog(5));
    expect((await store.read('s0')).head.version).toBe(2 * 2 + 3 * 2);
    expect((await store.read('s1')).head.version).toBe(1 * 2 + 2 * 2);
  });

  test.each([
    ['text', Buffer.from('this is not a database, it is a letter to my grandmother'.repeat(20))],
    ['a short text', Buffer.from('hello')],
    ['zeros', Buffer.alloc(8192)],
  ])('that is %s is foreign', async (_, bytes) => {
    const file = newFile();
    writeFileSync(file, bytes);
    await expectHandsOff(file, 'foreign');
  });

  test('that is a directory is foreign', async () => {
    const file = newFile();
    mkdirSync(file);
    await expect(openSqliteStore(realWorld(), file)).rejects.toEqual(trouble('foreign'));
  });

  test.each(['DELETE', 'WAL'])('that is a database of somebody else (%s) is foreign', async (mode) => {
    const file = newFile();
    execute(
      file,
      `PRAGMA journal_mode = ${mode}; CREATE TABLE recipes (name); INSERT INTO recipes VALUES ('soup')`,
    );
    await expectHandsOff(file, 'foreign');
    expect(readdirSync(dirname(file)).toSorted()).toEqual(['ledger.sqlite', 'ledger.sqlite.lock']);
  });

  test('of a newer program is left alone, also when that is known to the write-ahead log only', async () => {
    const file = await closedLog();
    execute(file, 'PRAGMA user_version = 2');
    await expectHandsOff(file, 'newer');

    const other = await killedLog();
    const db = new DatabaseSync(other);
    db.exec('PRAGMA user_version = 3');
    const copy = newFile();
    for (const end of ['', '-wal']) writeFileSync(`${copy}${end}`, readFileSync(`${other}${end}`));
    db.close();
    await expectHandsOff(copy, 'newer');
  });

  test.each([
    ['lacks a table', 'PRAGMA foreign_keys = OFF; DROP TABLE streams'],
    ['has one table too many', 'CREATE TABLE more (x)'],
    ['has another column', 'ALTER TABLE events ADD COLUMN more TEXT'],
    ['has a trigger', 'CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM streams; END'],
    ['has no version', 'PRAGMA user_version = 0'],
  ])('that %s is damaged', async (_, sql) => {
    const file = await closedLog();
    execute(file, sql);
    await expectHandsOff(file, 'damaged');
  });

  test.each([
    ['whose last page is cut off', (file: string, size: number) => truncateSync(file, size - 4096)],
    [
      'that is cut off in the middle of a page',
      (file: string, size: number) => truncateSync(file, size - 1000),
    ],
    ['that is cut off after its header', (file: string) => truncateSync(file, 100)],
    ['with garbage in a page', (file: string) => overwrite(file, 4096 * 2, Buffer.alloc(4096, 0xa5))],
  ])('%s is damaged', async (_, damage) => {
    const file = await closedLog(60);
    damage(file, readFileSync(file).length);
    await expectHandsOff(file, 'damaged');
  });

  test('that is gone while its write-ahead log is not is damaged, not new', async () => {
    const file = await killedLog();
    writeFileSync(file, '');
    await expectHandsOff(file, 'damaged');
  });

  test('in a directory that does not exist cannot be opened', async () => {
    const file = `${newFile()}/ledger.sqlite`;
    await expect(openSqliteStore(realWorld(), file)).rejects.toEqual(trouble('unavailable'));
  });

  test('that misses an event says so when the stream is read', async () => {
    const file = await closedLog();
    execute(
      file,
      "DELETE FROM events WHERE version = 2 AND stream_id = (SELECT id FROM streams WHERE name = 's0')",
    );
    const store = await openLog(file);
    await expect(store.read('s0')).rejects.toEqual(trouble('damaged'));
    expect((await store.read('s1')).head.version).toBe(2);
  });
});

test('a batch that SQLite refuses in the middle is taken back, and the store goes on', async () => {
  const file = newFile();
  const store = await openLog(file);
  await recordSome(store, 's', 2);
  const { head } = await store.read('s');
  execute(
    file,
    'INSERT INTO events SELECT 99, stream_id, 3, hash, hash, record FROM events WHERE version = 2',
  );
  const third = sealedAfter(head, 's', [{ type: 'Happened' }]);
  await expect(store.append('s', 2, third)).rejects.toEqual(trouble('unavailable'));
  await expect(store.append('s', 2, third)).rejects.toMatchObject({ name: 'VersionConflict', actual: 3 });
  await recordSome(store, 't', 1);
  expect((await store.read('t')).head.version).toBe(1);
});

test('SQLite is trusted from 3.51.3 on', () => {
  expect(['3.51.3', '3.51.10', '3.53.0', '4.0.0'].every(isTrusted)).toBe(true);
  expect(['3.51.2', '3.51', '3.9.9', '3.50.99', '2.99.99'].some(isTrusted)).toBe(false);
});

import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { backup, restore } from './copy.ts';
import { closedLog, killedLog, newDirectory, newFile, openLog, recordSome } from './story/files.ts';
import { verifyFile } from './verify.ts';

async function allOf(file: string) {
  const store = await openLog(file);
  const slices = await Promise.all([store.read('s0'), store.read('s1')]);
  await store.close();
  return slices;
}

const filesBeside = (file: string): string[] => readdirSync(dirname(file)).toSorted();

function execute(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

describe('a backup', () => {
  test('of a log in use is one file with everything that was acknowledged', async () => {
    const file = newFile();
    const store = await openLog(file);
    await recordSome(store, 's0', 3);
    await recordSome(store, 's1', 2);
    const target = join(newDirectory(), 'backup.sqlite');
    expect(await backup(file, target)).toEqual({ events: 5, streams: 2 });
    expect(filesBeside(target)).toEqual(['backup.sqlite']);
    expect(readFileSync(target).readUInt8(18)).toBe(1); // Not 2, which would ask for files beside it.
    await recordSome(store, 's0', 1);
    expect(await verifyFile(target)).toEqual({ events: 5, streams: 2 });
    expect((await store.read('s0')).head.version).toBe(4);
  });

  test('is whole while commands go on', async () => {
    const file = newFile();
    const store = await openLog(file);
    await recordSome(store, 's0', 2_000);
    const target = join(newDirectory(), 'backup.sqlite');
    const copying = backup(file, target);
    let recorded = 2_000;
    for (; !existsSync(target); recorded += 10) await recordSome(store, 's0', 10);
    const { events } = await copying;
    expect(events).toBeGreaterThanOrEqual(2_000);
    expect(events).toBeLessThanOrEqual(recorded);
    expect(events % 10).toBe(0);
  });

  test('takes what a killed process left in its write-ahead log', async () => {
    const target = newFile();
    expect(await backup(await killedLog(5), target)).toEqual({ events: 16, streams: 2 });
  });

  test('overwrites nothing', async () => {
    const target = newFile();
    writeFileSync(target, 'precious');
    await expect(backup(await closedLog(), target)).rejects.toThrow(/nothing is ever overwritten/);
    expect(readFileSync(target, 'utf8')).toBe('precious');

    const other = newFile();
    writeFileSync(`${other}.partial`, 'being written');
    await expect(backup(await closedLog(), other)).rejects.toThrow(
      /if no other copy is being made, remove it/,
    );
    expect(readFileSync(`${other}.partial`, 'utf8')).toBe('being written');
  });

  test('is not made of a log with an altered event, and nothing is left of it', async () => {
    const file = await closedLog();
    execute(
      file,
      `UPDATE events SET record = replace(record, '"actor":"http:you"', '"actor":"http:him"') WHERE position = 4`,
    );
    const target = newFile();
    await expect(backup(file, target)).rejects.toMatchObject({
      name: 'StoreTrouble',
      kind: 'damaged',
      message: expect.stringContaining('position 4'),
    });
    expect(filesBeside(target)).toEqual([]);
  });
});

describe('a restore', () => {
  test('gives back the same log, and it can be gone on with', async () => {
    const file = await closedLog(7);
    const saved = newFile();
    await backup(file, saved);
    const target = newFile();
    writeFileSync(join(dirname(target), 'views.sqlite'), 'derived');
    expect(await restore(saved, target)).toEqual({ events: 14, streams: 2 });
    expect(await allOf(target)).toEqual(await allOf(file));
    const store = await openLog(target);
    await recordSome(store, 's0', 1);
    expect((await store.read('s0')).head.version).toBe(9);
  });

  test('refuses a target that exists', async () => {
    const [saved, target] = [await closedLog(), await closedLog(1)];
    await expect(restore(saved, target)).rejects.toThrow(/nothing is ever overwritten/);
    expect((await verifyFile(target)).events).toBe(2);
  });

  test('refuses a target whose write-ahead log is still there', async () => {
    const target = newFile();
    writeFileSync(`${target}-wal`, 'left behind');
    await expect(restore(await closedLog(), target)).rejects.toThrow(/-wal exists/);
  });

  test('refuses a target that a process has open, even when its file was removed', async () => {
    const target = newFile();
    const store = await openLog(target);
    for (const end of ['', '-wal', '-shm']) rmSync(`${target}${end}`, { force: true });
    await expect(restore(await closedLog(), target)).rejects.toMatchObject({ kind: 'locked' });
    await store.close();
  });

  test.each([
    ['that is not there', () => newFile(), 'unavailable'],
    [
      'that is something else',
      () => {
        const file = newFile();
        writeFileSync(file, 'a letter to my grandmother'.repeat(100));
        return file;
      },
      'foreign',
    ],
    ['of a newer program', async () => altered('PRAGMA user_version = 9'), 'newer'],
    ['with an event missing', async () => altered('DELETE FROM events WHERE position = 2'), 'damaged'],
    [
      'with an altered hash',
      async () => altered("UPDATE events SET hash = '00' WHERE position = 2"),
      'damaged',
    ],
    [
      'with an event in the wrong stream',
      async () => altered('UPDATE events SET stream_id = 3 - stream_id, version = 9 WHERE position = 6'),
      'damaged',
    ],
    [
      'that is cut off',
      async () => {
        const file = await closedLog(60);
        truncateSync(file, readFileSync(file).length - 4096);
        return file;
      },
      'damaged',
    ],
  ])('of a backup %s writes nothing', async (_, make, kind) => {
    const saved = await make();
    const target = newFile();
    await expect(restore(saved, target)).rejects.toMatchObject({ name: 'StoreTrouble', kind });
    expect(filesBeside(target)).toEqual([]);
  });
});

async function altered(sql: string): Promise<string> {
  const file = await closedLog();
  execute(file, sql);
  return file;
}

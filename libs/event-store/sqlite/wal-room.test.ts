import { cpSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { verifyChain } from '../seal.ts';
import { newFile, openLog, recordSome } from './story/files.ts';
import { ROOM_BYTES } from './wal-room.ts';

const EVENTS = 20;

test('the write-ahead log grows once for many commits', async () => {
  const file = newFile();
  const store = await openLog(file);
  const sizes = new Set<number>();
  for (let n = 0; n < EVENTS; n += 1) {
    await recordSome(store, 's', 1);
    sizes.add(statSync(`${file}-wal`).size);
  }
  expect(sizes.size).toBe(1);
  expect([...sizes][0]).toBeGreaterThan(ROOM_BYTES);
});

test('the room in it is no part of the log, also when a process died before it was used up', async () => {
  const file = newFile();
  const store = await openLog(file);
  for (let n = 0; n < EVENTS; n += 1) await recordSome(store, 's', 1);
  const left = newFile();
  for (const end of ['', '-wal']) cpSync(`${file}${end}`, `${left}${end}`);
  const again = await openLog(left);
  expect(verifyChain((await again.read('s')).events).version).toBe(EVENTS);
  await recordSome(again, 's', 1);
  expect((await again.read('s')).head.version).toBe(EVENTS + 1);
});

test('a log longer than its room goes on, and is whole', async () => {
  const store = await openLog(newFile());
  for (let n = 0; n < 3; n += 1) await recordSome(store, 's', 2_000);
  expect(verifyChain((await store.read('s')).events).version).toBe(6_000);
});

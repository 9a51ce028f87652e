import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '../seal.ts';
import { digestsOf, killedLog, openLog } from './story/files.ts';
import { walDamage } from './wal.ts';

const HEADER_BYTES = 32;
const FRAME_BYTES = 24 + 4096;

/** The offsets of the frames that end a commit. */
function commitsOf(wal: Buffer): number[] {
  const offsets: number[] = [];
  for (let offset = HEADER_BYTES; offset < wal.length; offset += FRAME_BYTES) {
    if (wal.readUInt32BE(offset + 4) !== 0) offsets.push(offset);
  }
  return offsets;
}

/** A killed process's log with something done to its write-ahead log. */
async function alteredLog(alter: (wal: Buffer, commits: readonly number[]) => Buffer): Promise<string> {
  const file = await killedLog();
  const wal = readFileSync(`${file}-wal`);
  writeFileSync(`${file}-wal`, alter(wal, commitsOf(wal)));
  return file;
}

const flip = (wal: Buffer, offset: number): Buffer => {
  wal.writeUInt8(wal.readUInt8(offset) ^ 0xff, offset);
  return wal;
};

describe('a write-ahead log', () => {
  test('that a killed process left is whole', async () => {
    expect(walDamage(`${await killedLog()}-wal`)).toBeNull();
  });

  test('that is not there, empty, or was never written to is whole', async () => {
    const file = await killedLog();
    expect(walDamage(`${file}-none`)).toBeNull();
    truncateSync(`${file}-wal`, 0);
    expect(walDamage(`${file}-wal`)).toBeNull();
    writeFileSync(`${file}-wal`, Buffer.alloc(HEADER_BYTES + FRAME_BYTES));
    expect(walDamage(`${file}-wal`)).toBeNull();
  });

  test.each([
    ['is garbage', () => Buffer.alloc(20_000, 0xa5)],
    ['has a wrong header', (wal: Buffer) => flip(wal, 17)],
    ['was altered in its first commit', (wal: Buffer) => flip(wal, HEADER_BYTES + 1_000)],
    [
      'was altered before its last commit',
      (wal: Buffer, commits: readonly number[]) => flip(wal, (commits.at(-2) ?? 0) + 30),
    ],
  ])('that %s is damage, and not forgotten events', async (_, alter) => {
    const file = await alteredLog(alter);
    expect(walDamage(`${file}-wal`)).not.toBeNull();
    const before = digestsOf(file);
    await expect(openLog(file)).rejects.toMatchObject({ name: 'StoreTrouble', kind: 'damaged' });
    expect(digestsOf(file)).toEqual(before);
  });

  test('that was torn while its last commit was written is what a crash leaves', async () => {
    const file = await alteredLog((wal, commits) => flip(wal, (commits.at(-1) ?? 0) + 30));
    const store = await openLog(file);
    const { events } = await store.read('s0');
    expect(verifyChain(events).version).toBe(8); // The last of its five commits is gone, nothing else.
  });

  test('cut off anywhere holds whole commits only', async () => {
    const full = readFileSync(`${await killedLog()}-wal`);
    await fc.assert(
      fc.asyncProperty(fc.nat(full.length), async (length) => {
        const file = await killedLog();
        truncateSync(`${file}-wal`, Math.min(length, readFileSync(`${file}-wal`).length));
        const store = await openLog(file);
        for (const stream of ['s0', 's1']) {
          const { events, head } = await store.read(stream);
          expect(verifyChain(events).version % 2).toBe(0);
          expect(head.version).toBe(events.length);
        }
        await store.close();
      }),
      { numRuns: 20 },
    );
  });
});

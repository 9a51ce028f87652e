import { describe, expect, test } from 'vitest';
import { KeyReused } from './decider.ts';
import { openMemoryStore } from './memory/memory-store.ts';
import { put } from './story/jar.ts';
import { asked, jarLedger } from './story/ledger.ts';

/** Two ledgers on one disk, both of which have had a look at the jar. */
async function two(isShared: boolean) {
  const one = jarLedger();
  one.disk.isShared = isShared;
  const other = jarLedger({ store: openMemoryStore(one.story.world, one.disk) });
  await one.ledger.handle('jar', put('red'), asked());
  await other.ledger.state('jar');
  other.reads.length = 0;
  return { one: one.ledger, other: other.ledger, otherReads: other.reads };
}

describe('a ledger on a disk that others have too', () => {
  test('shows what another one has appended since', async () => {
    const { one, other } = await two(true);
    await one.handle('jar', put('blue'), asked());
    expect(await other.state('jar')).toEqual({ state: { marbles: ['red', 'blue'] }, version: 2 });
  });

  test('knows what another one has answered, and which keys it has given away', async () => {
    const { one, other } = await two(true);
    const first = await one.handle('jar', put('blue'), asked({ key: 'k', request: 'blue' }));
    const again = await other.answered('jar', asked({ key: 'k', request: 'blue' }));
    expect(again).toEqual({ ...first, replayed: true });
    const stolen = other.answered('jar', asked({ key: 'k', request: 'green' }));
    await expect(stolen).rejects.toThrow(KeyReused);
    expect(await other.answered('jar', asked({ key: 'another', request: 'blue' }))).toBeNull();
  });

  test('reads no more than what is new to it, and nothing again when the disk is its own', async () => {
    const shared = await two(true);
    await shared.one.handle('jar', put('blue', 'green'), asked());
    for (const _ of [1, 2]) await shared.other.state('jar');
    expect(shared.otherReads).toEqual([2, 0]);
    const unshared = await two(false);
    await unshared.one.handle('jar', put('blue'), asked()); // Which is against what was promised.
    expect((await unshared.other.state('jar')).version).toBe(1);
    expect(await unshared.other.answered('jar', asked({ key: 'k' }))).toBeNull();
    expect(unshared.otherReads).toEqual([]);
  });

  test('sees that it is shared from one moment to the next', async () => {
    const { disk, ledger, story } = jarLedger();
    await ledger.handle('jar', put('red'), asked());
    disk.isShared = true;
    const other = jarLedger({ store: openMemoryStore(story.world, disk) });
    await other.ledger.handle('jar', put('blue'), asked());
    expect((await ledger.state('jar')).version).toBe(2);
  });
});

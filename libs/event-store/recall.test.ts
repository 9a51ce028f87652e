import { describe, expect, test } from 'vitest';
import { openLedger } from './handle.ts';
import { openMemoryStates } from './memory/memory-states.ts';
import { openMemoryStore } from './memory/memory-store.ts';
import type { PersistedState } from './state-store.ts';
import { empty, jars, put } from './story/jar.ts';
import { asked, counted, jarLedger } from './story/ledger.ts';

const many = (count: number) => put(...Array.from({ length: count }, () => 'red'));

/** A ledger with states that outlive it, after one command of 1,500 events with a key, and a closed process. */
async function persistedStory() {
  const kept = new Map<string, PersistedState>();
  const troubles: unknown[] = [];
  const first = jarLedger({
    states: openMemoryStates(kept),
    onTrouble: (error) => void troubles.push(error),
  });
  await first.ledger.handle('jar', many(1_500), asked({ key: 'k' }));
  const persisted = () => kept.get('jar');
  const restart = (more: Partial<typeof first.parts> = {}) => {
    const { store, reads } = counted(openMemoryStore(first.story.world, first.disk));
    return { reads, ledger: openLedger({ ...first.parts, store, ...more }) };
  };
  return { ...first, kept, troubles, persisted, restart };
}

describe('the state of a stream', () => {
  test('is folded once and then kept: the next command reads nothing', async () => {
    const { ledger, reads } = jarLedger();
    await ledger.handle('jar', put('red'), asked());
    reads.length = 0;
    await ledger.handle('jar', put('blue'), asked());
    expect(reads).toEqual([]);
  });

  test('that was used longest ago makes room when all of them take too much memory', async () => {
    const { ledger, reads } = jarLedger({ cacheBytesMax: 2_500 }); // Two jars with little in them.
    for (const jar of ['a', 'b', 'c']) await ledger.handle(jar, put('red'), asked());
    reads.length = 0;
    expect((await ledger.state('c')).version).toBe(1);
    expect((await ledger.state('b')).version).toBe(1);
    expect(reads).toEqual([]);
    expect((await ledger.state('a')).version).toBe(1);
    expect(reads).toEqual([1]);
  });

  test('is kept while it is the one in use, however large it is', async () => {
    const { ledger, reads } = jarLedger({ cacheBytesMax: 1 });
    await ledger.handle('jar', many(100), asked());
    reads.length = 0;
    await ledger.handle('jar', many(100), asked());
    expect(reads).toEqual([]);
  });

  test('counts the keys it has to remember', async () => {
    const { ledger, reads } = jarLedger({ cacheBytesMax: 3_000 });
    for (let n = 0; n < 10; n += 1) await ledger.handle('a', put('red'), asked({ key: `${n}` }));
    await ledger.handle('b', put('red'), asked());
    reads.length = 0;
    await ledger.state('a');
    expect(reads).toEqual([10]);
  });
});

describe('a persisted state', () => {
  test('is written when many events were folded since the last time, and spares reading them', async () => {
    const { ledger, persisted, restart } = await persistedStory();
    expect(persisted()?.version).toBe(1_500);
    await ledger.handle('jar', empty, asked());
    expect(persisted()?.version).toBe(1_500);

    const next = restart();
    expect(await next.ledger.state('jar')).toEqual({ state: { marbles: [] }, version: 1_501 });
    expect(next.reads).toEqual([1]);
  });

  test('is written when the ledger is closed, so that the next one reads nothing', async () => {
    const { ledger, restart } = await persistedStory();
    await ledger.handle('jar', empty, asked());
    await ledger.handle('bottle', put('red'), asked());
    await ledger.close();
    const next = restart();
    expect((await next.ledger.state('jar')).version).toBe(1_501);
    expect((await next.ledger.state('bottle')).version).toBe(1);
    expect(next.reads).toEqual([0, 0]);
  });

  test('remembers the keys', async () => {
    const { restart } = await persistedStory();
    const { ledger } = restart();
    expect(await ledger.handle('jar', many(1_500), asked({ key: 'k' }))).toMatchObject({
      version: 1_500,
      replayed: true,
    });
  });

  test('is dropped when the program folds differently now', async () => {
    const { restart } = await persistedStory();
    const { ledger, reads } = restart({ decider: { ...jars, version: 2 } });
    expect((await ledger.state('jar')).version).toBe(1_500);
    expect(reads.reduce((all, read) => all + read)).toBe(1_500);
  });

  test.each([
    ['is ahead of the stream', { version: 1_501 }],
    ['was folded from other events', { hash: 'f'.repeat(64) }],
    ['is not what a program can read', { bytes: Uint8Array.of(1, 2, 3) }],
  ])('is dropped when it %s', async (_, wrong) => {
    const { kept, persisted, restart } = await persistedStory();
    const before = persisted();
    if (!before) return expect.fail('nothing was persisted');
    kept.set('jar', { ...before, ...wrong });
    const { ledger } = restart();
    const { state, version } = await ledger.state('jar');
    expect([state.marbles.length, version]).toEqual([1_500, 1_500]);
    expect((await ledger.handle('jar', empty, asked())).version).toBe(1_501);
  });

  test('that was folded from other events is dropped when the stream has gone on, too', async () => {
    const { kept, ledger, persisted, restart } = await persistedStory();
    await ledger.handle('jar', empty, asked());
    const before = persisted();
    if (!before) return expect.fail('nothing was persisted');
    kept.set('jar', { ...before, hash: 'f'.repeat(64) });
    expect(await restart().ledger.state('jar')).toEqual({ state: { marbles: [] }, version: 1_501 });
  });

  test('that cannot be written is reported and costs nothing else', async () => {
    const states = { ...openMemoryStates(), put: () => Promise.reject(new Error('no space')) };
    const troubles: unknown[] = [];
    const { ledger } = jarLedger({ states, onTrouble: (error) => void troubles.push(error) });
    expect(await ledger.handle('jar', many(1_000), asked())).toMatchObject({ version: 1_000 });
    expect(troubles).toEqual([new Error('no space')]);
  });
});

test('a stream whose events do not follow each other is damaged, not believed', async () => {
  const { ledger, disk, parts, story } = jarLedger();
  await ledger.handle('jar', put('red', 'blue', 'green'), asked());
  disk.streams.get('jar')?.splice(1, 1);
  const next = openLedger({ ...parts, store: openMemoryStore(story.world, disk) });
  await expect(next.state('jar')).rejects.toMatchObject({ name: 'StoreTrouble', kind: 'damaged' });
});

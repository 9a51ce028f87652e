import { afterEach, describe, expect, test } from 'vitest';
import {
  CHAIN_START,
  comparePositions,
  type EventStore,
  opened,
  PAGE_EVENTS_MAX,
  verifyChain,
} from '#event-store';
import { adapters, countedWorld, record, sealedEvents, take } from './stores.ts';

describe.each(Object.keys(adapters))('the %s store', (name) => {
  const left: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const leave of left.splice(0).toReversed()) await leave();
  });

  async function openStore() {
    const adapter = adapters[name]?.();
    if (!adapter) return expect.fail(`no adapter ${name}`);
    left.push(async () => adapter.remove());
    const { world, counted } = countedWorld();
    const open = async (): Promise<EventStore> => {
      const store = await adapter.open(world);
      left.push(() => store.close());
      return store;
    };
    return { store: await open(), counted, reopen: open };
  }

  describe('reading a stream', () => {
    test('that does not exist finds version 0, no events and the start of a chain', async () => {
      const { store } = await openStore();
      expect(await store.read('nothing')).toEqual({ events: [], head: { ...CHAIN_START, recordedAt: '' } });
    });

    test('finds what was appended, byte for byte', async () => {
      const { store } = await openStore();
      const sealed = sealedEvents('a', 3);
      const positions = await store.append('a', 0, sealed);
      const { events, head } = await store.read('a');
      expect(events).toEqual(
        sealed.map(({ record, previousHash, hash }, index) => ({
          position: positions[index],
          stream: 'a',
          version: index + 1,
          previousHash,
          hash,
          record,
        })),
      );
      expect(head).toEqual({ version: 3, hash: sealed[2]?.hash, recordedAt: '2026-11-21T12:00:00.003Z' });
      expect(verifyChain(events)).toMatchObject({ version: 3 });
      expect(events.map((event) => opened(event).version)).toEqual(['1', '2', '3']);
    });

    test('can begin anywhere and be bounded, and always tells the head of the whole stream', async () => {
      const { store } = await openStore();
      await record(store, 'a', 5);
      await record(store, 'b', 2);
      const versions = async (...range: [number?, number?]) => {
        const { events, head } = await store.read('a', ...range);
        expect(head.version).toBe(5);
        return events.map(({ version }) => version);
      };
      expect(await versions()).toEqual([1, 2, 3, 4, 5]);
      expect(await versions(4)).toEqual([4, 5]);
      expect(await versions(2, 2)).toEqual([2, 3]);
      expect(await versions(5, 9)).toEqual([5]);
      expect(await versions(6)).toEqual([]);
      expect(await versions(99, 1)).toEqual([]);
      expect(await versions(1, 0)).toEqual([]);
      expect(await versions(0, 1)).toEqual([1]);
    });

    test.each(['vm-1', 'registry', '__proto__', '', 'ü/😀', "';--", 'vm-%'])(
      'may be called %j',
      async (stream) => {
        const { store } = await openStore();
        await record(store, 'vm-x', 1);
        await record(store, stream, 2);
        expect((await store.read(stream)).events.map((event) => event.stream)).toEqual([stream, stream]);
      },
    );
  });

  describe('appending', () => {
    test('gives each event a position after all others', async () => {
      const { store } = await openStore();
      expect(await store.head()).toBeNull();
      const positions = [
        ...(await record(store, 'a', 2)),
        ...(await record(store, 'b', 1)),
        ...(await record(store, 'a', 2)),
      ];
      expect(positions).toHaveLength(5);
      expect(positions.toSorted(comparePositions)).toEqual(positions);
      expect(new Set(positions).size).toBe(5);
      expect(await store.head()).toBe(positions[4]);
    });

    test.each([
      ['behind', 1],
      ['ahead of', 3],
    ])("with an expected version %s the stream's is a conflict and records nothing", async (_, expected) => {
      const { store } = await openStore();
      await record(store, 'a', 2);
      const head = await store.head();
      const late = store.append(
        'a',
        expected,
        sealedEvents('a', 2, { version: expected, hash: 'f'.repeat(64) }),
      );
      await expect(late).rejects.toMatchObject({ name: 'VersionConflict', stream: 'a', expected, actual: 2 });
      expect((await store.read('a')).head.version).toBe(2);
      expect(await store.head()).toBe(head);
    });

    test('twice for the same version lets one win and fails only the other', async () => {
      const { store, counted } = await openStore();
      const results = await Promise.allSettled([
        store.append('a', 0, sealedEvents('a', 2)),
        store.append('a', 0, sealedEvents('a', 1)),
        store.append('b', 0, sealedEvents('b', 1)),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(results[1]).toMatchObject({ reason: { name: 'VersionConflict', actual: 2 } });
      expect(counted.commits).toBe(1);
      expect((await store.read('a')).head.version).toBe(2);
    });

    test('one after the other without waiting builds on what is not committed yet', async () => {
      const { store, counted } = await openStore();
      const first = sealedEvents('a', 2);
      const second = sealedEvents('a', 1, { version: 2, hash: first[1]?.hash ?? '' });
      await Promise.all([store.append('a', 0, first), store.append('a', 2, second)]);
      expect(counted.commits).toBe(1);
      expect(verifyChain((await store.read('a')).events)).toMatchObject({ version: 3 });
    });

    test('to 64 streams at once takes one commit', async () => {
      const { store, counted } = await openStore();
      const streams = Array.from({ length: 64 }, (_, index) => `vm-${index}`);
      const positions = await Promise.all(streams.map((stream) => record(store, stream, 1)));
      expect(counted.commits).toBe(1);
      expect(new Set(positions.flat()).size).toBe(64);
      const all = await take(store, null, 64);
      expect(all.map(({ stream }) => stream).toSorted()).toEqual(streams.toSorted());
    });

    test.each([
      ['nothing', []],
      ['an event of another stream', sealedEvents('b', 1)],
      ['an event of another version', sealedEvents('a', 1, { version: 1, hash: CHAIN_START.hash })],
      ['a hole', sealedEvents('a', 3).toSpliced(1, 1)],
      [
        'events that do not follow each other',
        [...sealedEvents('a', 1), ...sealedEvents('a', 1, { ...CHAIN_START, version: 1 })],
      ],
    ])('%s is a bug, and records nothing', async (_, events) => {
      const { store } = await openStore();
      await expect(store.append('a', 0, events)).rejects.toThrow(Error);
      expect(await store.head()).toBeNull();
    });
  });

  describe('a commit', () => {
    test('that fails before it began fails the whole batch, records nothing and leaves the store working', async () => {
      const { store, counted } = await openStore();
      counted.failAt = 'store.before-commit';
      const results = await Promise.allSettled([record(store, 'a', 1), record(store, 'b', 1)]);
      const nothing = { reason: { name: 'StoreTrouble', effect: 'none' } };
      expect(results).toMatchObject([nothing, nothing]);
      expect(await store.head()).toBeNull();
      expect(await record(store, 'a', 1)).toHaveLength(1);
    });

    test('that fails after it was made says that nobody knows', async () => {
      const { store, counted } = await openStore();
      counted.failAt = 'store.after-commit';
      await expect(record(store, 'a', 1)).rejects.toMatchObject({ name: 'StoreTrouble', effect: 'unknown' });
      expect((await store.read('a')).head.version).toBe(1);
      expect(await record(store, 'a', 1)).toHaveLength(1);
    });
  });

  describe('following', () => {
    test('sees every stream in the order of the log, from any position', async () => {
      const { store } = await openStore();
      const positions = [
        ...(await record(store, 'a', 2)),
        ...(await record(store, 'b', 2)),
        ...(await record(store, 'a', 1)),
      ];
      const all = await take(store, null, 5);
      expect(all.map(({ position }) => position)).toEqual(positions);
      expect(all.map(({ stream, version }) => `${stream}${version}`)).toEqual(['a1', 'a2', 'b1', 'b2', 'a3']);
      expect(await take(store, positions[2] ?? null, 2)).toEqual(all.slice(3));
    });

    test('waits at the end for what comes', async () => {
      const { store } = await openStore();
      const [position = null] = await record(store, 'a', 1);
      const later = take(store, position, 2);
      await record(store, 'a', 1);
      await record(store, 'b', 1);
      expect((await later).map(({ stream, version }) => `${stream}${version}`)).toEqual(['a2', 'b1']);
    });

    test('hands over a long log in bounded batches, without a gap', async () => {
      const { store } = await openStore();
      const count = PAGE_EVENTS_MAX * 2 + 1;
      await record(store, 'a', count);
      const stop = new AbortController();
      const versions: number[] = [];
      for await (const batch of store.since(null, stop.signal)) {
        expect(batch.length).toBeLessThanOrEqual(PAGE_EVENTS_MAX);
        versions.push(...batch.map(({ version }) => version));
        if (versions.length === count) stop.abort();
      }
      expect(versions).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    });

    test('ends when it is told to, also while it waits', async () => {
      const { store } = await openStore();
      const stop = new AbortController();
      const rest = store.since(null, stop.signal)[Symbol.asyncIterator]().next();
      stop.abort();
      expect(await rest).toMatchObject({ done: true });
    });

    test('from beyond the end is refused: what comes would be skipped', async () => {
      const { store } = await openStore();
      await record(store, 'a', 1);
      await expect(take(store, '999999999999', 1)).rejects.toMatchObject({
        name: 'StoreTrouble',
        kind: 'foreign',
      });
    });

    test.each(['', '-1', 'x', '1.5'])('from %j, which is no position, is a bug', async (position) => {
      const { store } = await openStore();
      await expect(take(store, position, 1)).rejects.toThrow(RangeError);
    });
  });

  describe('closing', () => {
    test('records what was asked for before, and refuses what comes after', async () => {
      const { store, reopen } = await openStore();
      const last = store.append('a', 0, sealedEvents('a', 1));
      await store.close();
      expect(await last).toHaveLength(1);
      await store.close();
      const closed = { name: 'StoreTrouble', kind: 'unavailable' };
      await expect(store.append('a', 1, sealedEvents('a', 1))).rejects.toMatchObject(closed);
      await expect(store.read('a')).rejects.toMatchObject(closed);
      await expect(store.head()).rejects.toMatchObject(closed);
      expect((await (await reopen()).read('a')).head.version).toBe(1);
    });

    test('ends the followers', async () => {
      const { store } = await openStore();
      const rest = store.since(null, new AbortController().signal)[Symbol.asyncIterator]().next();
      await store.close();
      expect(await rest).toMatchObject({ done: true });
    });

    test('loses nothing: the next process goes on where this one ended', async () => {
      const { store, reopen } = await openStore();
      const before = [...(await record(store, 'a', 2)), ...(await record(store, 'b', 1))];
      const all = await take(store, null, 3);
      await store.close();
      const next = await reopen();
      expect(await take(next, null, 3)).toEqual(all);
      const [position = ''] = await record(next, 'a', 1);
      expect(comparePositions(position, before[2] ?? '')).toBeGreaterThan(0);
      expect(verifyChain((await next.read('a')).events)).toMatchObject({ version: 3 });
    });
  });
});

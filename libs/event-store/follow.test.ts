import { describe, expect, test } from 'vitest';
import { UnknownEvent } from './decider.ts';
import type { Recorded } from './envelope.ts';
import { follow, type Follower, type FollowerTrouble, RETRY_MS_MAX } from './follow.ts';
import { PAGE_EVENTS_MAX, StoreTrouble } from './store.ts';
import { type JarEvent, jars, put } from './story/jar.ts';
import { asked, jarLedger, recordForeign } from './story/ledger.ts';
import { settle } from './story/world.ts';

/** A follower that notes what it sees. */
function followJars(from: ReturnType<typeof jarLedger>, more: Partial<Follower<JarEvent>> = {}) {
  const seen: Recorded<JarEvent>[] = [];
  const troubles: (FollowerTrouble & { readonly error: unknown })[] = [];
  const stopping = new AbortController();
  const following = follow<JarEvent>({
    world: from.story.world,
    store: from.store,
    name: 'test',
    from: null,
    read: (...args) => jars.read(...args),
    on: (batch) => void seen.push(...batch),
    signal: stopping.signal,
    onTrouble: (error, about) => void troubles.push({ ...about, error }),
    ...more,
  });
  const colours = () => seen.map((event) => (event.type === 'MarblePut' ? event.data.colour : ''));
  return { following, seen, colours, troubles, stopping };
}

describe('a follower', () => {
  test('sees all that was recorded and all that is recorded from then on, in order', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put('1', '2'), asked());
    await jar.ledger.handle('b', put('3'), asked());
    const { following, colours, stopping } = followJars(jar);
    await settle(jar.story.world);
    expect(colours()).toEqual(['1', '2', '3']);
    const { events } = await jar.ledger.handle('a', put('4'), asked());
    await settle(jar.story.world);
    expect(colours()).toEqual(['1', '2', '3', '4']);
    expect(following.position()).toBe(events[0]?.position);
    expect(following.state()).toBe('following');
    stopping.abort();
    expect(await following.stopped).toBe('stopped');
  });

  test('sees nothing of what lies before its position', async () => {
    const jar = jarLedger();
    const { events } = await jar.ledger.handle('a', put('1', '2', '3'), asked());
    const { colours, stopping } = followJars(jar, { from: events[1]?.position ?? null });
    await settle(jar.story.world);
    expect(colours()).toEqual(['3']);
    stopping.abort();
  });

  test('catches up with a long log in batches of a bounded size', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put(...Array.from({ length: PAGE_EVENTS_MAX + 1 }, () => 'red')), asked());
    const sizes: number[] = [];
    const { stopping } = followJars(jar, { on: (batch) => void sizes.push(batch.length) });
    await settle(jar.story.world);
    expect(sizes).toEqual([PAGE_EVENTS_MAX, 1]);
    stopping.abort();
  });

  test('whose handler fails gets the same batch again, later and later, and reports it', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put('1', '2'), asked());
    let failures = 9;
    const batches: number[] = [];
    const { following, troubles, stopping } = followJars(jar, {
      on: async (batch) => {
        batches.push(batch.length);
        failures -= 1;
        if (failures >= 0) throw new Error('not now');
      },
    });
    await settle(jar.story.world, 2);
    expect(following.state()).toBe('retrying');
    expect(following.position()).toBeNull();
    await settle(jar.story.world, 40);
    expect(following.state()).toBe('following');
    expect(batches).toEqual(Array.from({ length: 10 }, () => 2));
    expect(troubles.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(jar.story.slept).toEqual([50, 100, 200, 400, 800, 1_600, 3_200, RETRY_MS_MAX, RETRY_MS_MAX]);
    expect(following.position()).toBe(await jar.store.head());
    stopping.abort();
  });

  test('outlives a store that does not answer', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put('1'), asked());
    let isDead = true;
    const store = {
      ...jar.store,
      since: (...args: Parameters<typeof jar.store.since>) => {
        if (!isDead) return jar.store.since(...args);
        isDead = false;
        throw new StoreTrouble('unavailable', 'the line went dead');
      },
    };
    const { colours, troubles, stopping } = followJars(jar, { store });
    await settle(jar.story.world);
    expect(colours()).toEqual(['1']);
    expect(troubles).toMatchObject([
      { name: 'test', attempt: 1, retryInMs: 50, error: { kind: 'unavailable' } },
    ]);
    stopping.abort();
  });

  test('stops for good before an event of a newer program, and never passes over it', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put('1'), asked());
    await recordForeign(jar.store, 'b', [{ type: 'JarPainted' }]);
    await jar.ledger.handle('a', put('2'), asked());
    const { following, colours, troubles } = followJars(jar);
    expect(await following.stopped).toBe('log-newer');
    expect(following.state()).toBe('log-newer');
    expect(colours()).toEqual(['1']);
    expect(following.position()).toBe('1');
    expect(troubles).toMatchObject([{ retryInMs: null }]);
    expect(troubles[0]?.error).toBeInstanceOf(UnknownEvent);
  });

  test('that only looks at envelopes needs no reader, and minds no new event', async () => {
    const jar = jarLedger();
    await recordForeign(jar.store, 'b', [{ type: 'JarPainted', data: { colour: 'blue' } }]);
    const seen: unknown[] = [];
    const stopping = new AbortController();
    follow({
      world: jar.story.world,
      store: jar.store,
      name: 'test',
      from: null,
      on: (batch) => void seen.push(...batch.map(({ stream, type, data }) => ({ stream, type, data }))),
      signal: stopping.signal,
      onTrouble: (error) => expect.fail(String(error)),
    });
    await settle(jar.story.world);
    expect(seen).toEqual([{ stream: 'b', type: 'JarPainted', data: { colour: 'blue' } }]);
    stopping.abort();
  });

  test('that has seen more than the log holds stops instead of skipping what comes', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put('1'), asked());
    const { following, troubles } = followJars(jar, { from: '5' });
    expect(await following.stopped).toBe('log-older');
    expect(troubles).toMatchObject([{ retryInMs: null, error: { kind: 'foreign' } }]);
  });

  test('stops when the store is closed, and when it was stopped before it began', async () => {
    const jar = jarLedger();
    const { following } = followJars(jar);
    const early = followJars(jar, { signal: AbortSignal.abort() });
    expect(await early.following.stopped).toBe('stopped');
    await settle(jar.story.world);
    await jar.store.close();
    expect(await following.stopped).toBe('stopped');
  });

  test('can be stopped while it waits to try again', async () => {
    const jar = jarLedger();
    await jar.ledger.handle('a', put('1'), asked());
    const { following, stopping } = followJars(jar, { on: () => Promise.reject(new Error('not now')) });
    await settle(jar.story.world);
    stopping.abort();
    expect(await following.stopped).toBe('stopped');
  });
});

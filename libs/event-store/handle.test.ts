import { describe, expect, test } from 'vitest';
import { UnknownEvent } from './decider.ts';
import { ATTEMPTS_MAX, openLedger } from './handle.ts';
import { COMMANDS_WAITING_MAX } from './lanes.ts';
import { digestOf, opened, verifyChain } from './seal.ts';
import { StoreTrouble, VersionConflict } from './store.ts';
import { empty, JarRefusal, jars, put, smash } from './story/jar.ts';
import { asked, jarLedger, recordForeign, streamOf } from './story/ledger.ts';
import { death, failure, NOON, settle } from './story/world.ts';

describe('a command', () => {
  test('records what the domain decides, sealed, with who asked and why', async () => {
    const { ledger, store } = jarLedger();
    const request = { colour: 'red' };
    const handled = await ledger.handle('jar', put('red'), {
      actor: 'kafka:relay',
      correlationId: 'operation',
      causationId: 'cause',
      key: 'key',
      request,
    });
    expect(handled).toMatchObject({ version: 1, replayed: false });
    expect(handled.events).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        type: 'MarblePut',
        stream: 'jar',
        version: '1',
        recordedAt: '2026-11-21T12:00:00.000Z',
        actor: 'kafka:relay',
        correlationId: 'operation',
        causationId: 'cause',
        commandId: 'key',
        commandDigest: digestOf(request),
        schemaVersion: '1',
        data: { colour: 'red' },
        position: expect.any(String),
        previousHash: '0'.repeat(64),
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
    expect((await streamOf(store, 'jar')).map(opened)).toEqual(handled.events);
  });

  test('that makes several events records them together, in one chain', async () => {
    const { ledger, store, story } = jarLedger();
    await ledger.handle('jar', put('red', 'blue'), asked());
    const { version } = await ledger.handle('jar', put('green', 'white', 'black'), asked());
    expect(version).toBe(5);
    expect(verifyChain(await streamOf(store, 'jar')).version).toBe(5);
    expect(story.passed('store.after-commit')).toBe(2);
  });

  test('that changes nothing records nothing', async () => {
    const { ledger, store } = jarLedger();
    expect(await ledger.handle('jar', empty, asked())).toEqual({ version: 0, events: [], replayed: false });
    expect(await store.head()).toBeNull();
  });

  test('that the domain refuses records nothing', async () => {
    const { ledger, store } = jarLedger();
    await expect(ledger.handle('jar', smash, asked())).rejects.toThrow(JarRefusal);
    expect(await store.head()).toBeNull();
  });

  test('whose event this program could not read back is not recorded', async () => {
    const decider = { ...jars, schemaVersionOf: () => '2' };
    const { ledger, store } = jarLedger({ decider });
    await expect(ledger.handle('jar', put('red'), asked())).rejects.toThrow(UnknownEvent);
    expect(await store.head()).toBeNull();
  });

  test('waits for the commit of the one before it on the same stream, not on others', async () => {
    const { ledger, story } = jarLedger();
    story.mine('store.before-commit', death);
    const answered: string[] = [];
    const ask = (name: string, stream: string) =>
      void ledger.handle(stream, smash, asked()).catch(() => answered.push(name));
    void ledger.handle('jar', put('red'), asked());
    ask('same', 'jar');
    ask('other', 'bottle');
    await settle(story.world);
    expect(answered).toEqual(['other']);
  });

  test('is told to come back when too many wait on its stream', async () => {
    const { ledger, story } = jarLedger();
    story.mine('store.before-commit', death);
    for (let n = 0; n < COMMANDS_WAITING_MAX; n += 1) void ledger.handle('jar', put('red'), asked());
    const trouble = ledger.handle('jar', put('red'), asked());
    await expect(trouble).rejects.toMatchObject({
      name: 'StoreTrouble',
      kind: 'unavailable',
      effect: 'none',
    });
    await expect(ledger.handle('bottle', empty, asked())).resolves.toMatchObject({ version: 0 });
  });

  test('is never recorded before the event before it, even when the clock is put back', async () => {
    const { ledger, story } = jarLedger();
    await ledger.handle('jar', put('red'), asked());
    story.now = NOON - 86_400_000;
    const { events } = await ledger.handle('jar', put('blue'), asked());
    expect(events[0]?.recordedAt).toBe('2026-11-21T12:00:00.000Z');
    story.now = NOON + 1;
    const later = await ledger.handle('jar', put('green'), asked());
    expect(later.events[0]?.recordedAt).toBe('2026-11-21T12:00:00.001Z');
  });

  test('moves the acknowledged position on when it is answered', async () => {
    const { ledger } = jarLedger();
    expect(ledger.acknowledged()).toBeNull();
    const { events } = await ledger.handle('jar', put('red', 'blue'), asked());
    expect(ledger.acknowledged()).toBe(events[1]?.position);
    await ledger.handle('jar', smash, asked()).catch(() => undefined);
    expect(ledger.acknowledged()).toBe(events[1]?.position);
  });
});

describe('when others append to the same store', () => {
  test('a command that lost the race is decided anew on what is there now', async () => {
    const { ledger, store } = jarLedger();
    await ledger.handle('jar', put('red'), asked());
    await recordForeign(store, 'jar', [{ type: 'JarEmptied' }, { type: 'MarblePut', data: { colour: 'x' } }]);
    const { version } = await ledger.handle('jar', put('blue'), asked());
    expect(version).toBe(4);
    expect((await ledger.state('jar')).state.marbles).toEqual(['x', 'blue']);
  });

  test('nobody is refused for what is no longer so', async () => {
    const { ledger, store } = jarLedger();
    await ledger.handle('jar', put('red'), asked());
    await recordForeign(store, 'jar', [{ type: 'JarEmptied' }]);
    expect(await ledger.handle('jar', empty, asked({ expectedVersion: 2 }))).toMatchObject({ version: 2 });
  });

  test('a command that keeps losing gives up', async () => {
    let appends = 0;
    const { ledger, parts, store } = jarLedger();
    const contested = openLedger({
      ...parts,
      store: {
        ...store,
        append: async (stream) => {
          appends += 1;
          await ledger.handle('jar', put('mine'), asked());
          throw new VersionConflict(stream, 0, appends);
        },
      },
    });
    const trouble = contested.handle('jar', put('red'), asked());
    await expect(trouble).rejects.toMatchObject({ name: 'StoreTrouble', kind: 'unavailable' });
    expect(appends).toBe(ATTEMPTS_MAX);
  });
});

describe('when a commit fails', () => {
  test('before it began, every caller hears it and nothing is recorded or remembered', async () => {
    const { ledger, store, story } = jarLedger();
    await ledger.handle('jar', put('red'), asked());
    story.mine('store.before-commit', failure);
    const both = await Promise.allSettled([
      ledger.handle('jar', put('blue'), asked({ key: 'k' })),
      ledger.handle('bottle', put('blue'), asked()),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await streamOf(store, 'jar')).toHaveLength(1);
    expect(await ledger.handle('jar', put('blue'), asked({ key: 'k' }))).toMatchObject({
      version: 2,
      replayed: false,
    });
  });

  test('and nobody knows whether it happened, a look that finds the events makes it a success', async () => {
    const { ledger, story } = jarLedger();
    story.mine('store.after-commit', failure);
    const { version, events } = await ledger.handle('jar', put('red', 'blue'), asked());
    expect(version).toBe(2);
    expect(ledger.acknowledged()).toBe(events[1]?.position);
    expect((await ledger.state('jar')).state.marbles).toEqual(['red', 'blue']);
  });

  test('and nobody knows whether it happened, a look that finds nothing does not make it a "no"', async () => {
    const { parts, store } = jarLedger();
    const unheard = new StoreTrouble('unavailable', 'the line went dead', { effect: 'unknown' });
    const ledger = openLedger({ ...parts, store: { ...store, append: () => Promise.reject(unheard) } });
    await expect(ledger.handle('jar', put('red'), asked())).rejects.toBe(unheard);
  });

  test('and nobody knows whether it happened, the events of others are not taken for its own', async () => {
    const { parts, store } = jarLedger();
    const unheard = new StoreTrouble('unavailable', 'the line went dead', { effect: 'unknown' });
    const append = async () => {
      await recordForeign(store, 'jar', [{ type: 'MarblePut', data: { colour: 'x' } }]);
      throw unheard;
    };
    const ledger = openLedger({ ...parts, store: { ...store, append } });
    await expect(ledger.handle('jar', put('red'), asked())).rejects.toBe(unheard);
  });

  test('and the log cannot be looked at either, the caller hears that nobody knows', async () => {
    const { parts, store } = jarLedger();
    const unheard = new StoreTrouble('unavailable', 'the line went dead', { effect: 'unknown' });
    let isDead = false;
    const append = () => {
      isDead = true;
      return Promise.reject(unheard);
    };
    const read: typeof store.read = (...args) =>
      isDead ? Promise.reject(new StoreTrouble('unavailable', 'still dead')) : store.read(...args);
    const ledger = openLedger({ ...parts, store: { ...store, append, read } });
    await expect(ledger.handle('jar', put('red'), asked())).rejects.toBe(unheard);
  });
});

test('an event of a newer program is not passed over: its stream takes no commands', async () => {
  const { ledger, store } = jarLedger();
  await recordForeign(store, 'jar', [{ type: 'JarPainted', schemaVersion: '3' }]);
  const unknown = ledger.handle('jar', put('red'), asked());
  await expect(unknown).rejects.toMatchObject({
    name: 'UnknownEvent',
    type: 'JarPainted',
    schemaVersion: '3',
  });
  await expect(unknown).rejects.toBeInstanceOf(UnknownEvent);
});

test('a closed ledger finishes what was begun and takes no more', async () => {
  const { ledger, store } = jarLedger();
  const last = ledger.handle('jar', put('red'), asked());
  const closed = ledger.close();
  await expect(ledger.handle('jar', put('blue'), asked())).rejects.toThrow(StoreTrouble);
  await closed;
  expect(ledger.acknowledged()).toBe('1');
  expect(await last).toMatchObject({ version: 1 });
  expect(await streamOf(store, 'jar')).toHaveLength(1);
});

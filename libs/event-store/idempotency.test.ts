import { describe, expect, test } from 'vitest';
import { KeyReused, StaleVersion } from './decider.ts';
import { openLedger } from './handle.ts';
import { openMemoryStore } from './memory/memory-store.ts';
import { empty, JarRefusal, put, smash } from './story/jar.ts';
import { asked, jarLedger, streamOf } from './story/ledger.ts';
import { death, settle } from './story/world.ts';

describe('an idempotency key', () => {
  test('gives the same request its first answer again, and records nothing', async () => {
    const { ledger, store } = jarLedger();
    const first = await ledger.handle(
      'jar',
      put('red', 'blue'),
      asked({ key: 'k', request: { a: 1, b: 2 } }),
    );
    await ledger.handle('jar', empty, asked());
    const again = await ledger.handle(
      'jar',
      put('red', 'blue'),
      asked({ key: 'k', request: { b: 2, a: 1 } }),
    );
    expect(again).toEqual({ ...first, replayed: true });
    expect(await streamOf(store, 'jar')).toHaveLength(3);
  });

  test('holds when the answer was never heard, because the process died after the commit', async () => {
    const { ledger, story, disk, parts } = jarLedger();
    story.mine('store.after-commit', death);
    void ledger.handle('jar', put('red'), asked({ key: 'k' }));
    await settle(story.world);

    const next = openLedger({ ...parts, store: openMemoryStore(story.world, disk) });
    const again = await next.handle('jar', put('red'), asked({ key: 'k' }));
    expect(again).toMatchObject({ version: 1, replayed: true, events: [{ commandId: 'k' }] });
  });

  test('is answered once when two ask with it at the same time', async () => {
    const { ledger, store } = jarLedger();
    const both = await Promise.all([
      ledger.handle('jar', put('red'), asked({ key: 'k' })),
      ledger.handle('jar', put('red'), asked({ key: 'k' })),
    ]);
    expect(both.map(({ replayed }) => replayed)).toEqual([false, true]);
    expect(await streamOf(store, 'jar')).toHaveLength(1);
  });

  test('refuses another request', async () => {
    const { ledger } = jarLedger();
    await ledger.handle('jar', put('red'), asked({ key: 'k', request: { colour: 'red' } }));
    const other = ledger.handle('jar', put('blue'), asked({ key: 'k', request: { colour: 'blue' } }));
    await expect(other).rejects.toThrow(KeyReused);
  });

  test('belongs to one stream', async () => {
    const { ledger } = jarLedger();
    await ledger.handle('jar', put('red'), asked({ key: 'k' }));
    expect(await ledger.handle('bottle', put('red'), asked({ key: 'k' }))).toMatchObject({ replayed: false });
  });

  test.each(['__proto__', 'constructor', ' ', '~'])('may be called %j', async (key) => {
    const { ledger } = jarLedger();
    expect(await ledger.handle('jar', put('red'), asked({ key }))).toMatchObject({ replayed: false });
    expect(await ledger.handle('jar', put('red'), asked({ key }))).toMatchObject({ replayed: true });
  });

  test('is not bound by a refusal', async () => {
    const { ledger } = jarLedger();
    await expect(ledger.handle('jar', smash, asked({ key: 'k', request: 1 }))).rejects.toThrow(JarRefusal);
    const stale = ledger.handle('jar', put('red'), asked({ key: 'k', request: 2, expectedVersion: 9 }));
    await expect(stale).rejects.toThrow(StaleVersion);
    expect(await ledger.handle('jar', put('red'), asked({ key: 'k', request: 3 }))).toMatchObject({
      replayed: false,
    });
  });

  test('is looked at before the expected version, and the version before the domain', async () => {
    const { ledger } = jarLedger();
    const question = asked({ key: 'k', expectedVersion: 0 });
    await ledger.handle('jar', put('red'), question);
    expect(await ledger.handle('jar', put('red'), question)).toMatchObject({ version: 1, replayed: true });
    const stale = ledger.handle('jar', smash, asked({ expectedVersion: 0 }));
    await expect(stale).rejects.toMatchObject({ name: 'StaleVersion', expected: 0, actual: 1 });
  });

  test('can be asked for alone, by whoever has something else to do before the command', async () => {
    const { ledger, parts } = jarLedger();
    const question = asked({ key: 'k', request: { colour: 'red' } });
    expect(await ledger.answered('jar', question)).toBeNull();
    expect(await ledger.answered('jar', asked())).toBeNull();
    const first = await ledger.handle('jar', put('red'), question);
    const next = openLedger(parts);
    expect(await next.answered('jar', question)).toEqual({ ...first, replayed: true });
    expect(next.acknowledged()).toBe(first.events[0]?.position);
    await expect(next.answered('jar', asked({ key: 'k' }))).rejects.toThrow(KeyReused);
  });
});

/* Does a delete of layers take a snapshot away and leave all others, the machine and its disks as they were? */
import { existsSync } from 'node:fs';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { outcomeOf } from '../hypervisor/notebook.ts';
import { contents, expectWhole, goBackTo, topOf, write } from './branches.ts';
import { type House, house } from './house.ts';
import { cleanUp, guestReadPattern, needsQemu } from './rig.ts';

afterAll(cleanUp);

const external = (...letters: string[]) =>
  letters.map((letter) => ({ device: `dev-d${letter}`, mode: 'external' as const }));

type Power = 'on' | 'off';

/** root, middle and leaf, each with something of its own on both disks, and the machine above them. */
async function chain(power: Power, options: Parameters<typeof house>[0] = {}) {
  const home = await house(options);
  if (power === 'off') await home.off();
  const names = ['root', 'middle', 'leaf'] as const;
  const ids: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    await fill(home, index);
    const { snapshotId, end } = await capture(home);
    expect(end).toBe('created');
    ids[name] = snapshotId;
  }
  await fill(home, names.length);
  return { home, idOf: (name: (typeof names)[number]): string => ids[name] ?? '' };
}

const capture = (home: House) =>
  home.book.create({ disks: external('a', 'b'), ...(home.isOn && { diskOnly: true }) });

/** One cluster that every layer writes, and one that only this one does. */
async function fill(home: House, step: number): Promise<void> {
  for (const letter of ['a', 'b']) {
    await write(home, letter, 0x10 + step);
    await write(home, letter, 0x20 + step, 1 + step);
  }
}

describe.runIf(needsQemu()).each(['on', 'off'] as const)('a machine that is %s', (power) => {
  test.each(['root', 'middle', 'leaf'] as const)('merges the %s of a chain', async (name) => {
    const { home, idOf } = await chain(power);
    const before = contents(home);
    expect((await home.book.delete(idOf(name), 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
    expect(home.book.vm.layers.size).toBe(2 * 3);
    expect(home.book.progress).toContain('merging');
  });

  test('merges one after the other until it writes its own image again', async () => {
    const { home, idOf } = await chain(power);
    for (const name of ['middle', 'root', 'leaf'] as const) {
      const before = contents(home);
      expect((await home.book.delete(idOf(name), 'merge')).end).toBe('deleted');
      await expectWhole(home, before);
    }
    expect(topOf(home, 'a').file).toBe(home.fileOf('a'));
    expect((await capture(home)).end).toBe('created');
  });

  test('folds all into its own images when all snapshots go', async () => {
    const { home } = await chain(power);
    const before = contents(home);
    home.book.handle({ type: 'DeleteAllSnapshots', operationId: v7() });
    expect(outcomeOf(await home.book.work()).end).toBe('deleted');
    await expectWhole(home, before);
    expect([...home.book.vm.layers.keys()].toSorted()).toEqual([home.fileOf('a'), home.fileOf('b')]);
    if (power === 'on') expect(await guestReadPattern(home.vm, 'da', 0x13)).toBe(true);
  });

  test('copies a shared layer up into each branch, and drops a branch that is discarded', async () => {
    const { home, idOf } = await chain(power);
    await goBackTo(home, idOf('middle'));
    await fill(home, 5);
    const { snapshotId: sibling } = await capture(home);
    await fill(home, 6);
    let before = contents(home);
    expect((await home.book.delete(idOf('middle'), 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
    before = contents(home);
    expect((await home.book.delete(idOf('leaf'), 'discard')).end).toBe('deleted');
    await expectWhole(home, before);
    before = contents(home);
    expect((await home.book.delete(idOf('root'), 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
    expect(home.book.vm.snapshots.has(sibling)).toBe(true);
  });

  test('discards a whole subtree it does not stand on', async () => {
    const { home, idOf } = await chain(power);
    await goBackTo(home, idOf('root'));
    await fill(home, 5);
    const before = contents(home);
    expect((await home.book.delete(idOf('middle'), 'discard-force')).end).toBe('deleted');
    await expectWhole(home, before);
    expect(home.book.vm.layers.size).toBe(2 * 2);
  });

  test('folds a raw image like any other', async () => {
    const { home, idOf } = await chain(power, { raw: 'b' });
    const before = contents(home);
    expect((await home.book.delete(idOf('root'), 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
  });

  test('takes tenants of its layers along when it must, and keeps the others', async () => {
    const { home, idOf } = await chain(power);
    const wish = power === 'on' ? { diskOnly: true } : {};
    const { snapshotId: tenant } = await home.book.create(wish);
    await fill(home, 4);
    expect(() => home.book.askDelete(idOf('leaf'), 'merge')).toThrow(/would take/);
    const before = contents(home);
    expect((await home.book.delete(idOf('leaf'), 'merge-force')).end).toBe('deleted');
    await expectWhole(home, before);
    expect(home.book.vm.snapshots.has(tenant)).toBe(false);
    expect([...home.book.vm.snapshots.keys()]).toEqual([idOf('root'), idOf('middle')]);
  });

  test.each(['qcow2', 'qed'])('takes the tag of a tenant buried under %s off its layer', async (format) => {
    const home = await house();
    const wish = { disks: [{ device: 'dev-da', mode: 'internal' as const }, ...external('b')] };
    if (power === 'off') await home.off();
    await fill(home, 0);
    const { snapshotId: mixed } = await home.book.create({
      ...wish,
      ...(power === 'on' && { diskOnly: true }),
    });
    await fill(home, 1);
    const { snapshotId: above } = await home.book.create({
      disks: external('a', 'b').map((disk) => ({ ...disk, format })),
      ...(power === 'on' && { diskOnly: true }),
    });
    await fill(home, 2);
    const before = contents(home);
    expect((await home.book.delete(mixed, 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
    expect(home.tags()[0]).toBe('');
    expect(home.book.vm.snapshots.has(above)).toBe(true);
    if (power === 'on') expect(await guestReadPattern(home.vm, 'da', 0x12)).toBe(true);
  });
});

describe.runIf(needsQemu())('a delete', () => {
  test('of what a machine was started from leaves it on images that can be exchanged', async () => {
    const home = await house();
    const { snapshotId } = await capture(home);
    await home.off();
    await home.boot({ disks: home.present() }); // QEMU opens what lies below by itself, under names of its own.
    await fill(home, 0);
    const before = contents(home);
    expect((await home.book.delete(snapshotId, 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
    const blocks = (await home.vm.monitor.execute('query-block')) as { inserted: { 'node-name': string } }[];
    const nodes = blocks.map(({ inserted }) => inserted['node-name']);
    expect(nodes).toEqual(['da', 'db']);
    expect(home.book.vm.disks.map(({ node }) => node)).toEqual(nodes);
    const { snapshotId: inside } = await home.book.create({ diskOnly: true });
    expect((await home.book.load(inside)).end).toBe('loaded');
    await expectWhole(home, contents(home));
  });

  test('takes a buried tag off a layer that a branch which was left holds open', async () => {
    const home = await house();
    const { snapshotId: inside } = await home.book.create({ diskOnly: true });
    const { snapshotId: outside } = await capture(home);
    const [left = ''] = home.book.vm.disks.map(({ file }) => file);
    const pin = { snapshotId: v7(), what: 'disks' } as const;
    expect((await home.book.load(outside, { pin })).end).toBe('loaded');
    // As a QEMU has it that came back, under names of its own, after the load had begun.
    const file = { driver: 'file', filename: left };
    await home.vm.monitor.execute('blockdev-add', { driver: 'qcow2', 'node-name': 'd0', file });
    const before = contents(home);
    expect((await home.book.delete(inside, 'merge')).end).toBe('deleted');
    await expectWhole(home, before);
    expect(home.tags()).toEqual(['', '']);
  });

  test('unlinks the file that holds the memory', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create({ memory: 'external', disks: external('a', 'b') });
    const { file = '' } = home.book.snapshot(snapshotId).memory;
    expect(existsSync(file)).toBe(true);
    const before = contents(home);
    expect((await home.book.delete(snapshotId, 'merge')).end).toBe('deleted');
    expect(existsSync(file)).toBe(false);
    await expectWhole(home, before);
  });
});

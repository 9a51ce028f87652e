/* What a load saves of the present before it leaves it, and whether that brings the present back. */
import { existsSync, readdirSync } from 'node:fs';
import type { Start } from '#hypervisor';
import { pinsOf, tagOf } from '#ledger';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

async function captured(home: House, wish: Wish): Promise<string> {
  await writeAll(home, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  await writeAll(home, 0x22);
  return snapshotId;
}

async function loaded(home: House, id: string, what: 'disks' | 'memory' | null): Promise<void> {
  const pin = what ? { snapshotId: v7(), what } : undefined;
  const { end, report } = await home.book.load(id, pin && { pin });
  expect(end, JSON.stringify(report)).toBe('loaded');
}

const pins = (home: House): string[] => pinsOf(home.book.vm).map(({ id }) => id);

const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const bothExternal = [external('dev-da'), external('dev-db')];

/** Nothing of ours lies in the directory that the ledger does not know. */
function expectNoStrays(home: House): void {
  const known = new Set([
    ...home.book.vm.layers.keys(),
    ...[...home.book.vm.snapshots.values()].flatMap(({ memory }) => memory.file ?? []),
  ]);
  const images = readdirSync(home.dir).filter((name) => name.endsWith('.qcow2'));
  expect(images.map((name) => `${home.dir}/${name}`).filter((file) => !known.has(file))).toEqual([]);
  for (const file of known) expect(existsSync(file), file).toBe(true);
}

describe.runIf(needsQemu())('a load that saves the present first', () => {
  test.each<{ name: string; wish: Wish }>([
    { name: 'external disks', wish: { memory: 'none', disks: bothExternal } },
    { name: 'disks without memory', wish: { diskOnly: true } },
    { name: 'memory and disks', wish: {} },
    {
      name: 'one disk of each kind',
      wish: { memory: 'none', disks: [internal('dev-da'), external('dev-db')] },
    },
    { name: 'memory beside external disks', wish: { memory: 'external', disks: bothExternal } },
  ])('of $name can be undone, and that again', async ({ wish }) => {
    const home = await house();
    const snapshotId = await captured(home, wish);
    for (const what of ['disks', 'memory'] as const) {
      await writeAll(home, 0x33);
      await loaded(home, snapshotId, what);
      expect(await contents(home)).toBe('11 11');
      const pin = pins(home).at(-1) ?? '';
      expect(home.book.snapshot(pin).memory.mode).toBe(what === 'memory' ? 'internal' : 'none');
      await writeAll(home, 0x44);
      await loaded(home, pin, what); // What it leaves is saved as well: the undo can be undone.
      expect(await contents(home)).toBe('33 33');
      expect(home.book.vm.current.id).toBe(pin);
      const undone = pins(home).at(-1) ?? '';
      expect(undone).not.toBe(pin);
      await loaded(home, undone, null);
      expect(await contents(home)).toBe('44 44');
      expectNoStrays(home);
    }
  });

  test.each<{ name: string; what: 'disks' | 'memory'; wish: Wish }>([
    { name: 'a tag on every disk', what: 'memory', wish: {} },
    { name: 'memory in a file', what: 'memory', wish: { memory: 'none', disks: bothExternal } },
  ])('has named $name, and how to take it back, before it touches anything', async ({ what, wish }) => {
    const home = await house();
    const snapshotId = await captured(home, wish);
    const before = readdirSync(home.dir);
    await loaded(home, snapshotId, what);
    const [pin = ''] = pins(home);
    const start = home.book.events.findLast(({ type }) => type === 'OperationStarted')?.data as Start;
    const undo = start.undo.join('\n');
    const made = readdirSync(home.dir).filter((name) => name.endsWith('qcow2') && !before.includes(name));
    for (const name of made) expect(undo).toContain(`unlink ${home.dir}/${name}`);
    for (const { device, mode } of home.book.snapshot(pin).disks)
      if (mode === 'internal') expect(undo).toContain(`remove ${tagOf(pin)} from ${device}`);
    const { file: memoryFile } = home.book.snapshot(pin).memory;
    expect(start.pin?.memoryFile).toBe(memoryFile);
  });

  test('tells of a disk of which nothing is saved', async () => {
    const home = await house({ raw: 'b' });
    const disks = [internal('dev-da'), { device: 'dev-db', mode: 'none' as const }];
    const snapshotId = await captured(home, { memory: 'none', disks });
    await loaded(home, snapshotId, 'disks');
    const start = home.book.events.findLast(({ type }) => type === 'OperationStarted')?.data as Start;
    expect(start.plan).toContain('save nothing of dev-db: the load leaves it as it is, and raw holds no tag');
    const [pin = ''] = pins(home);
    expect(home.book.snapshot(pin).disks).toMatchObject([{ mode: 'internal' }, { mode: 'none' }]);
    await writeAll(home, 0x33);
    await loaded(home, pin, null);
    expect(await contents(home)).toBe('22 33');
  });

  test('keeps the newest of what it saved, and the earlier ones are gone from the disks', async () => {
    const home = await house();
    const snapshotId = await captured(home, {});
    for (let n = 0; n < 3; n += 1) await loaded(home, snapshotId, 'disks');
    expect(pins(home)).toHaveLength(1);
    expect(home.tags()).toEqual(home.tagsOf(snapshotId, ...pins(home)));
  });

  test('of external disks keeps one layer that was left, not all of them', async () => {
    const home = await house();
    const snapshotId = await captured(home, { memory: 'none', disks: bothExternal });
    for (let n = 0; n < 3; n += 1) await loaded(home, snapshotId, 'memory');
    expect(pins(home)).toHaveLength(1);
    expect(home.book.vm.layers.size).toBe(6); // Frozen, left, and present, of each disk.
    expectNoStrays(home);
  });
});

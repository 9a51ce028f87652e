/* Names and numbers: which snapshot is meant, and which one is touched. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { house } from '../qemu/house.ts';
import { writeAll } from '../qemu/patterns.ts';
import { cleanUp, needsQemu, snapshotTags, startQemu } from '../qemu/rig.ts';
import { refusedOf } from '../qemu/standing.ts';
import { deleted, EXTERNAL, expectRunning, INTERNAL, loaded, powerCycled, taken, type Wish } from './tale.ts';

afterAll(cleanUp);

/** All of them failed on a running machine with libvirt 11.3 (“Invalid job ID”), and loading one killed it. */
const ODD_NAMES = [
  'before upgrade',
  'größe',
  'a:b',
  'a+b',
  'snap@1',
  '2026-11-21T02:00:00Z',
  '日本',
  '../x',
  '-f',
  '1',
];

describe.runIf(needsQemu())('the neighbours’ bug', () => {
  test.each(['on', 'off'] as const)(
    'libvirt, OpenNebula #492: loading “1” brought back “2”, whose number in the image was 1 (machine %s)',
    async (power) => {
      const home = await house();
      const ids = new Map<string, string>();
      for (const [name, pattern] of [
        ['2', 0x11],
        ['1', 0x22],
      ] as const)
        ids.set(name, await taken(home, pattern, { ...INTERNAL, name }));
      await writeAll(home, 0x33);
      for (const [name, content] of [
        ['1', '22 22'],
        ['2', '11 11'],
        ['1', '22 22'],
      ] as const) {
        if (power === 'off') await home.off();
        await loaded(home, ids.get(name) ?? '');
        if (power === 'off') await home.boot({ disks: home.present() });
        await expectRunning(home, content);
      }
    },
  );

  test('libvirt #120, virt-manager #827: a name with a space, a colon or a letter of another script failed', async () => {
    const home = await house();
    const ids: string[] = [];
    for (const name of ODD_NAMES) ids.push(await taken(home, 0x11, { name }));
    await writeAll(home, 0x22);
    for (const id of ids) {
      await loaded(home, id);
      await expectRunning(home, '11 11');
    }
    for (const id of ids) await deleted(home, id, 'merge');
    await deleted(home, [...home.book.vm.snapshots.keys()][0] ?? '', 'merge');
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test('libvirt: a name of 300 letters was refused after the data had been written, and left its tag', async () => {
    const home = await house();
    for (const name of ['x'.repeat(300), 'ä'.repeat(128), '', 'two\nlines', 'zero\0byte'])
      for (const wish of [{}, INTERNAL, EXTERNAL])
        expect(await refusedOf(home, () => home.book.create({ ...wish, name }))).toBe('invalid-name');
    const { end } = await home.book.create({ ...INTERNAL, name: 'ä'.repeat(127) });
    expect(end).toBe('created');
  });

  test('libvirt 9.0, ansible #24511, community.vmware #1844: the same name again overwrote the first, or made a second', async () => {
    const home = await house();
    const first = await taken(home, 0x11, { ...INTERNAL, name: 'nightly' });
    await writeAll(home, 0x22);
    for (const wish of [{}, INTERNAL, EXTERNAL])
      expect(await refusedOf(home, () => home.book.create({ ...wish, name: 'nightly' }))).toBe('name-taken');
    await loaded(home, first);
    await expectRunning(home, '11 11');
  });

  test('QEMU: a tag of that name, made behind the ledger on one disk only, was overwritten or taken for ours', async () => {
    const home = await house();
    await home.off();
    execFileSync('qemu-img', ['snapshot', '-c', 'mine', home.fileOf('b')]);
    await home.boot();
    const again: Wish = { ...INTERNAL, name: 'mine' };
    expect((await home.book.create(again)).end).toBe('undone: name-taken');
    expect(home.tags()).toEqual(['', 'mine']);
  });

  test('libvirt: two snapshots without a name in one second got the same one', async () => {
    const home = await house();
    const ids = [await taken(home, 0x11), await taken(home, 0x11), await taken(home, 0x11)];
    expect(new Set(ids.map((id) => home.book.snapshot(id).name)).size).toBe(ids.length);
  });

  test('libvirt: an overlay was called after what follows the last dot, so that two disks, or two names, collided', async () => {
    const home = await house();
    for (const letter of ['a', 'b']) {
      const disk = home.disks.find(({ file }) => file === home.fileOf(letter));
      expect(disk?.file).toMatch(/\.qcow2$/);
    }
    await taken(home, 0x11, { ...EXTERNAL, name: 'v1.2' });
    await taken(home, 0x22, { ...EXTERNAL, name: 'v1.3' });
    const layers = [...home.book.vm.layers.keys()];
    expect(new Set(layers).size).toBe(6);
    expect(readdirSync(home.dir).filter((name) => name.includes('v1'))).toEqual([]);
    await powerCycled(home);
    await expectRunning(home, '22 22');
  });

  test('libvirt, virsh snapshot-edit --rename: the tag kept the old name, and loading it killed the machine', async () => {
    const home = await house();
    const id = await taken(home, 0x11, { name: 'old' });
    home.book.handle({ type: 'PatchSnapshot', snapshotId: id, name: 'new' });
    await writeAll(home, 0x22);
    await loaded(home, id);
    await expectRunning(home, '11 11');
    const pin = [...home.book.vm.snapshots.keys()].find((other) => other !== id) ?? '';
    await deleted(home, id, 'merge');
    expect(snapshotTags(home.fileOf('a')).filter((tag) => tag !== `sl-${pin}`)).toEqual([]);
  });

  test('libvirt: the machine had been started under another path, and no snapshot was found any more', async () => {
    const home = await house({ letters: 'a' });
    const wish = { disks: [{ device: 'dev-da', mode: 'internal' as const }], diskOnly: true };
    const id = await taken(home, 0x11, wish);
    await writeAll(home, 0x22);
    await home.off();
    const dotted = join(home.dir, '.', 'a.qcow2');
    const other = await startQemu({ disks: [{ node: 'da', file: dotted, format: 'qcow2' }], dir: home.dir });
    expect((await home.book.load(id)).end).toBe('loaded');
    await other.kill();
  });
});

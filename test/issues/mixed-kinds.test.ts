/* Internal and external snapshots of one machine: where others lost data, or gave up. */
import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { contents, expectWhole } from '../qemu/branches.ts';
import { house } from '../qemu/house.ts';
import { cleanUp, needsQemu, snapshotTags } from '../qemu/rig.ts';
import { writeAll } from '../qemu/patterns.ts';
import { deleted, EXTERNAL, expectRunning, INTERNAL, loaded, taken } from './tale.ts';

afterAll(cleanUp);

describe.runIf(needsQemu())('the neighbours’ bug', () => {
  test('virt-manager #811: deleting an external snapshot after going back to an internal one unlinked the image with all of them', async () => {
    const home = await house();
    const inside = await taken(home, 0x11);
    const outside = await taken(home, 0x22, EXTERNAL);
    await loaded(home, inside);
    await expectRunning(home, '11 11');
    await deleted(home, outside, 'discard-force');
    for (const letter of ['a', 'b']) {
      expect(existsSync(home.fileOf(letter))).toBe(true);
      expect(snapshotTags(home.fileOf(letter))).toContain(`sl-${inside}`);
    }
    await writeAll(home, 0x33);
    await loaded(home, inside);
    await expectRunning(home, '11 11');
  });

  test('virt-manager #800, libvirt (i1, e1, i2, back to i1): the machine wrote on what the others stood on', async () => {
    const home = await house();
    const i1 = await taken(home, 0x11);
    const e1 = await taken(home, 0x22, EXTERNAL);
    const i2 = await taken(home, 0x33);
    await loaded(home, i1);
    await writeAll(home, 0x44);
    for (const [id, content] of [
      [i2, '33 33'],
      [e1, '22 22'],
      [i1, '11 11'],
    ] as const) {
      await loaded(home, id);
      await expectRunning(home, content);
    }
  });

  test('virt-manager #862: an external snapshot with an internal parent could not be deleted', async () => {
    const home = await house();
    const parent = await taken(home, 0x11);
    const child = await taken(home, 0x22, EXTERNAL);
    await writeAll(home, 0x33);
    const before = contents(home);
    await deleted(home, child);
    await expectWhole(home, before);
    await loaded(home, parent);
    await expectRunning(home, '11 11');
  });

  test('libvirt: an internal snapshot inside an overlay could not be deleted, its disk was “not the same as currently used”', async () => {
    const home = await house();
    await taken(home, 0x11, EXTERNAL);
    const inside = await taken(home, 0x22);
    await writeAll(home, 0x33);
    const before = contents(home);
    await deleted(home, inside, 'discard');
    await expectWhole(home, before);
    await expectRunning(home, '33 33');
  });

  test('libvirt: folding an overlay’s backing file away left the internal snapshots inside it reading zeros', async () => {
    const home = await house();
    const root = await taken(home, 0x11, EXTERNAL);
    const outside = await taken(home, 0x22, EXTERNAL);
    const inside = await taken(home, 0x33);
    await writeAll(home, 0x44);
    const before = contents(home);
    expect(() => home.book.askDelete(outside, 'merge')).toThrow(/would take/);
    await expectWhole(home, before);
    await deleted(home, root); // The image that the machine came with stays where it is, without a name.
    await expectWhole(home, before);
    await loaded(home, inside);
    await expectRunning(home, '33 33');
  });

  test('libvirt: a mixed transaction (one disk inside, one outside) was refused', async () => {
    const home = await house();
    const disks = [
      { device: 'dev-da', mode: 'internal' as const },
      { device: 'dev-db', mode: 'external' as const },
    ];
    const mixed = await taken(home, 0x11, { disks, diskOnly: true });
    await writeAll(home, 0x22);
    await loaded(home, mixed);
    await expectRunning(home, '11 11');
    await deleted(home, mixed, 'merge');
    await expectRunning(home, '11 11');
  });

  test('libvirt 9.0: “revert to external snapshot not supported yet”, and only a restart brought an internal one back', async () => {
    const home = await house();
    const { pid } = home.vm;
    const [outside, inside] = [await taken(home, 0x11, EXTERNAL), await taken(home, 0x22, INTERNAL)];
    await writeAll(home, 0x33);
    await loaded(home, outside);
    await expectRunning(home, '11 11');
    await loaded(home, inside);
    await expectRunning(home, '22 22');
    expect(() => process.kill(pid, 0)).not.toThrow();
  });
});

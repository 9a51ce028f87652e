/* Trees: going back, going on elsewhere, and taking pieces out, where others lost branches or got stuck. */
import { afterAll, describe, expect, test } from 'vitest';
import { v7 } from 'uuid';
import { outcomeOf } from '../hypervisor/notebook.ts';
import { contents, expectWhole } from '../qemu/branches.ts';
import { type House, house } from '../qemu/house.ts';
import { writeAll } from '../qemu/patterns.ts';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { deleted, EXTERNAL, expectRunning, INTERNAL, loaded, powerCycled, taken } from './tale.ts';

afterAll(cleanUp);

const parentOf = (home: House, id: string) => home.book.snapshot(id).parentId;
const KINDS = [
  ['internal', INTERNAL],
  ['external', EXTERNAL],
] as const;

describe.runIf(needsQemu()).each(KINDS)('the neighbours’ bug, with %s snapshots,', (_, wish) => {
  test('CloudStack #10632: s1, s2, s3, back to s2, s4, then s2 and s1 deleted, and s3 could not be loaded', async () => {
    const home = await house();
    const s1 = await taken(home, 0x11, wish);
    const s2 = await taken(home, 0x22, wish);
    const s3 = await taken(home, 0x33, wish);
    await loaded(home, s2);
    const s4 = await taken(home, 0x44, wish);
    await deleted(home, s2);
    await deleted(home, s1);
    await loaded(home, s3);
    await expectRunning(home, '33 33');
    await loaded(home, s4);
    await expectRunning(home, '44 44');
  });

  test('LXD #1919, OpenZFS #5862: going back to an older snapshot destroyed the newer ones', async () => {
    const home = await house();
    const ids = [
      await taken(home, 0x11, wish),
      await taken(home, 0x22, wish),
      await taken(home, 0x33, wish),
    ] as const;
    await loaded(home, ids[0]);
    await expectRunning(home, '11 11');
    await loaded(home, ids[2]);
    await expectRunning(home, '33 33');
    await loaded(home, ids[1]);
    await expectRunning(home, '22 22');
  });

  test('libvirt 11.3: going back dropped everything written since, without a question', async () => {
    const home = await house();
    const old = await taken(home, 0x11, wish);
    await writeAll(home, 0x22);
    const present = await loaded(home, old);
    await expectRunning(home, '11 11');
    await loaded(home, present);
    await expectRunning(home, '22 22');
  });

  test('libvirt 11.3: a, b, c, back to a, d, then a, b, c, d deleted in that order: two were refused and stayed', async () => {
    const home = await house();
    const a = await taken(home, 0x11, wish);
    const b = await taken(home, 0x22, wish);
    const c = await taken(home, 0x33, wish);
    await loaded(home, a);
    const d = await taken(home, 0x44, wish);
    for (const id of [a, b, c, d]) {
      const before = contents(home);
      await deleted(home, id);
      await expectWhole(home, before);
    }
    expect([...home.book.vm.snapshots.values()].filter(({ implicit }) => !implicit)).toEqual([]);
    await expectRunning(home, '44 44');
  });

  test('libvirt: a snapshot with two children, and one outside the active chain, could not be deleted', async () => {
    const home = await house();
    const root = await taken(home, 0x11, wish);
    const left = await taken(home, 0x22, wish);
    await loaded(home, root);
    const right = await taken(home, 0x33, wish);
    await deleted(home, root);
    expect([parentOf(home, left), parentOf(home, right)]).toEqual([null, null]);
    await deleted(home, left, 'discard-force');
    await loaded(home, right);
    await expectRunning(home, '33 33');
  });

  test('libvirt: “deletion of external children not supported”: a whole subtree goes, and its files with it', async () => {
    const home = await house();
    const root = await taken(home, 0x11, wish);
    const top = await taken(home, 0x22, wish);
    await taken(home, 0x33, wish);
    await loaded(home, root);
    await writeAll(home, 0x44);
    const before = contents(home);
    await deleted(home, top, 'discard-force');
    await expectWhole(home, before);
    expect([...home.book.vm.snapshots.keys()]).toEqual([root]);
  });

  test('OpenNebula #4017, #5992: the parent was deleted, and after a power cycle its child could not be loaded', async () => {
    const home = await house();
    const [parent, child] = [await taken(home, 0x11, wish), await taken(home, 0x22, wish)];
    await deleted(home, parent);
    expect(parentOf(home, child)).toBeNull();
    await writeAll(home, 0x33);
    await powerCycled(home);
    await loaded(home, child);
    await expectRunning(home, '22 22');
  });

  test('OpenNebula #5530, cuckoo #148: after a kill nobody knew any more which snapshot the machine was on', async () => {
    const home = await house();
    const [first, second] = [await taken(home, 0x11, wish), await taken(home, 0x22, wish)];
    await loaded(home, first);
    await home.vm.kill();
    home.forget();
    await home.boot({ disks: home.present() });
    const third = await taken(home, 0x33, wish);
    expect(parentOf(home, third)).toBe(first);
    await loaded(home, second);
    await expectRunning(home, '22 22');
  });

  test('Xen Orchestra #10196: going back took names and labels back as well', async () => {
    const home = await house();
    const id = await taken(home, 0x11, { ...wish, name: 'old', labels: { by: 'me' } });
    home.book.handle({ type: 'PatchSnapshot', snapshotId: id, name: 'new', labels: { by: 'you' } });
    await loaded(home, id);
    expect(home.book.snapshot(id)).toMatchObject({ name: 'new', labels: { by: 'you' } });
  });

  test('libvirt 11.3: two loads within one second collided in the name of the new overlay', async () => {
    const home = await house();
    const id = await taken(home, 0x11, wish);
    await writeAll(home, 0x22);
    await loaded(home, id);
    await loaded(home, id);
    await expectRunning(home, '11 11');
  });
});

describe.runIf(needsQemu())('the neighbours’ bug', () => {
  test('libvirt 11.3: a machine with 30 external snapshots could not be started any more', async () => {
    const home = await house({ letters: 'a' });
    const wish = { disks: [{ device: 'dev-da', mode: 'external' as const }], diskOnly: true };
    const ids: string[] = [];
    for (let depth = 0; depth < 31; depth += 1) ids.push(await taken(home, 0x11, wish));
    await writeAll(home, 0x22);
    await powerCycled(home);
    await expectRunning(home, '22');
    await loaded(home, ids[15] ?? '');
    await expectRunning(home, '11');
    const before = contents(home);
    home.book.handle({ type: 'DeleteAllSnapshots', operationId: v7() });
    expect(outcomeOf(await home.book.work()).end).toBe('deleted');
    await expectWhole(home, before);
    expect([...home.book.vm.layers.keys()]).toEqual([home.fileOf('a')]);
  });

  test('libvirt 11.3: a delete said OK without merging anything', async () => {
    const home = await house();
    const [first, second] = [await taken(home, 0x11, EXTERNAL), await taken(home, 0x22, EXTERNAL)];
    await writeAll(home, 0x33);
    const files = home.book.vm.layers.size;
    await deleted(home, first);
    expect(home.book.vm.layers.size).toBe(files - 2);
    await loaded(home, second);
    await expectRunning(home, '22 22');
  });

  test('CloudStack #11428: memory could not be loaded once a disk-only snapshot existed and the machine was power-cycled', async () => {
    const home = await house();
    const memory = await taken(home, 0x11, {});
    await taken(home, 0x22, EXTERNAL);
    await powerCycled(home);
    await writeAll(home, 0x33);
    await loaded(home, memory);
    await expectRunning(home, '11 11');
  });
});

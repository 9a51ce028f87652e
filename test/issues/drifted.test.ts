/* What was changed behind everybody’s back, or went wrong half-way: said, not guessed, and never at the machine’s cost. */
import { execFileSync } from 'node:child_process';
import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { contents, expectWhole } from '../qemu/branches.ts';
import { house } from '../qemu/house.ts';
import { contents as words, writeAll } from '../qemu/patterns.ts';
import { cleanUp, makeDisk, needsQemu, NO_SPACE, snapshotTags } from '../qemu/rig.ts';
import { refusedOf } from '../qemu/standing.ts';
import { deleted, EXTERNAL, expectRunning, INTERNAL, loaded, taken } from './tale.ts';

afterAll(cleanUp);

const withoutTag = (file: string, id: string): void =>
  void execFileSync('qemu-img', ['snapshot', '-d', `sl-${id}`, file]);

describe.runIf(needsQemu())('the neighbours’ bug', () => {
  test('libvirt: a tag was deleted behind it, and loading the snapshot stopped the machine for good', async () => {
    const home = await house();
    const id = await taken(home, 0x11, {});
    await writeAll(home, 0x22);
    await home.vm.monitor.execute('blockdev-snapshot-delete-internal-sync', {
      device: 'db',
      name: `sl-${id}`,
    });
    expect(await refusedOf(home, () => home.book.load(id))).toBe('snapshot-damaged');
    await expectRunning(home, '22 22');
  });

  test('libvirt: the second disk had lost the tag, and the first one was taken back alone', async () => {
    const home = await house();
    const id = await taken(home, 0x11);
    await writeAll(home, 0x22);
    await home.off();
    withoutTag(home.fileOf('b'), id);
    expect(await refusedOf(home, () => home.book.load(id))).toBe('snapshot-damaged');
    await home.boot();
    expect(await words(home)).toBe('22 22');
    expect(home.book.vm.current.id).toBe(id); // It was captured last.
  });

  test('LXD #15349: a load that failed left the machine standing still', async () => {
    const home = await house();
    const id = await taken(home, 0x11, { memory: 'external' });
    await writeAll(home, 0x22);
    const { file = '' } = home.book.snapshot(id).memory;
    renameSync(file, `${file}.away`);
    expect(await refusedOf(home, () => home.book.load(id))).toBe('snapshot-damaged');
    await expectRunning(home, '22 22');
  });

  test('oVirt #524, libvirt: a piece that was gone already made a removal fail for ever', async () => {
    const home = await house();
    const id = await taken(home, 0x11, {});
    await home.off();
    withoutTag(home.fileOf('a'), id);
    await deleted(home, id, 'discard');
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test('libvirt: a delete of a tag that is not there said OK, and left the one that is', async () => {
    const home = await house();
    const [kept, gone] = [await taken(home, 0x11), await taken(home, 0x22)];
    await home.vm.monitor.execute('blockdev-snapshot-delete-internal-sync', {
      device: 'da',
      name: `sl-${gone}`,
    });
    await deleted(home, gone, 'discard');
    expect(home.tags()).toEqual(home.tagsOf(kept));
  });

  test('Proxmox, Cinder, Omicron #10735: one disk failed, and the others kept the snapshot', async () => {
    const home = await house({ letters: 'abc', blkdebug: { c: NO_SPACE } });
    const disks = [
      { device: 'dev-da', mode: 'internal' as const },
      { device: 'dev-db', mode: 'external' as const },
      { device: 'dev-dc', mode: 'internal' as const },
    ];
    const create = () => home.book.create({ disks, diskOnly: true });
    expect(await refusedOf(home, create, 'but for the inside of disks')).toBe('no-space');
    expect(readdirSync(home.dir).filter((name) => name.startsWith('sl-'))).toEqual([]);
    expect(await words({ vm: home.vm, disks: home.disks.slice(0, 2) })).toBe('other other');
  });

  test('CloudStack #12949: memory could not be saved, and the disks kept the snapshot', async () => {
    const home = await house({ blkdebug: { b: NO_SPACE } });
    const create = () => home.book.create();
    expect(await refusedOf(home, create, 'but for the inside of disks')).toBe('no-space');
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });

  test('Proxmox --force, oVirt #403: the record went while the data stayed', async () => {
    const home = await house();
    const ids = [await taken(home, 0x11), await taken(home, 0x22)];
    for (const id of ids) {
      await deleted(home, id);
      expect(home.book.vm.snapshots.has(id)).toBe(home.tags().join().includes(id));
    }
  });

  test('oVirt #403, CloudStack #4898: a delete that failed was called ready again, though half of it was gone', async () => {
    const home = await house({ blkdebug: { b: REFUSES_ONCE_TAKEN } });
    const { snapshotId: id } = await home.book.create(INTERNAL);
    const { end } = await home.book.delete(id, 'discard');
    expect(snapshotTags(home.fileOf('a'))).toEqual([]);
    expect(snapshotTags(home.fileOf('b'))).toEqual([`sl-${id}`]);
    expect(end).toMatch(/^held: /);
    expect(home.book.vm.snapshots.get(id)?.status).not.toBe('complete');
    expect(home.book.vm.hold?.leftovers).toMatchObject([{ device: 'dev-db', tag: `sl-${id}` }]);
  });

  test('CloudStack #14030, #14218: one disk had been merged, the other not, and the machine did not start any more', async () => {
    const home = await house();
    await taken(home, 0x11, EXTERNAL);
    const middle = await taken(home, 0x22, EXTERNAL);
    await writeAll(home, 0x33);
    const before = contents(home);
    const second = home.book.snapshot(middle).disks[1]?.file ?? '';
    await home.off();
    renameSync(second, `${second}.away`);
    expect((await home.book.delete(middle)).end).toBe('undone: snapshot-damaged');
    renameSync(`${second}.away`, second);
    await expectWhole(home, before);
    await home.boot({ disks: home.present() });
    await deleted(home, middle);
    await expectRunning(home, '33 33');
  });

  test('libvirt: an overlay that a crash had left behind blocked every further try under that name', async () => {
    const home = await house();
    makeDisk(join(home.dir, 'a.backup'));
    for (const name of ['backup', 'again'])
      expect((await home.book.create({ ...EXTERNAL, name })).end).toBe('created');
  });

  test('libvirt: `qemu-img check` found errors after a failed capture, and nobody looked', async () => {
    const home = await house({ blkdebug: { b: NO_SPACE } });
    expect((await home.book.create(INTERNAL)).end).toBe('undone: no-space');
    await home.off();
    for (const rc of home.health()) expect([0, 3]).toContain(rc);
    await home.boot({ disks: home.withoutFaults() });
    const id = await taken(home, 0x11);
    await loaded(home, id);
    await expectRunning(home, '11 11');
  });
});

/** Creates well, and refuses everything from then on. */
const REFUSES_ONCE_TAKEN = [
  'set-state.0.event=cluster_alloc',
  'set-state.0.state=1',
  'set-state.0.new_state=2',
  'set-state.1.event=cluster_alloc',
  'set-state.1.state=2',
  'set-state.1.new_state=3',
  'inject-error.0.event=cluster_alloc',
  'inject-error.0.state=3',
  'inject-error.0.errno=5',
  'inject-error.0.once=off',
  'inject-error.0.immediately=off',
];

/* Does a delete take a snapshot off every disk of a real machine, and nothing else? */
import { afterAll, describe, expect, test } from 'vitest';
import { house } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

const deleteFails = [
  'inject-error.0.event=cluster_alloc',
  'inject-error.0.errno=5',
  'inject-error.0.state=3',
  'inject-error.0.once=off',
  'inject-error.0.immediately=off',
  'set-state.0.event=cluster_alloc',
  'set-state.0.state=1',
  'set-state.0.new_state=2',
  'set-state.1.event=cluster_alloc',
  'set-state.1.state=2',
  'set-state.1.new_state=3',
];

describe.runIf(needsQemu())('on a running QEMU', () => {
  test('a snapshot goes from every disk, memory and all, and the others stay loadable', async () => {
    const home = await house();
    await guestWrite(home.vm, 'da', 0x11);
    const { snapshotId: first } = await home.book.create();
    await guestWrite(home.vm, 'da', 0x22);
    const { snapshotId: second } = await home.book.create();
    expect((await home.book.delete(second)).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf(first));
    expect(await guestReadPattern(home.vm, 'da', 0x22)).toBe(true);
    expect((await home.book.load(first)).end).toBe('loaded');
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
  });

  test('a whole subtree goes', async () => {
    const home = await house();
    const { snapshotId: kept } = await home.book.create({ diskOnly: true });
    const { snapshotId: root } = await home.book.create({ diskOnly: true });
    await home.book.create({ diskOnly: true });
    await home.book.create();
    expect((await home.book.delete(root, 'discard-force')).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf(kept));
  });

  test('what is half gone already goes wholly', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create({ diskOnly: true });
    const deletion = { device: 'da', name: `sl-${snapshotId}` };
    await home.vm.monitor.execute('blockdev-snapshot-delete-internal-sync', deletion);
    expect((await home.book.delete(snapshotId)).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test('a disk that fails leaves the machine held by what is left, until it works again', async () => {
    const home = await house({ blkdebug: { b: deleteFails } });
    const { snapshotId } = await home.book.create({ diskOnly: true });
    expect((await home.book.delete(snapshotId)).end).toBe('held: refused-by-qemu');
    expect(home.book.vm.hold?.leftovers).toMatchObject([{ device: 'dev-db', tag: `sl-${snapshotId}` }]);
    await home.vm.stop();
    await home.boot({ disks: home.withoutFaults() });
    const gone = await home.hypervisor.removeLeftovers(home.book.vm);
    expect(gone).toMatchObject([{ device: 'dev-db' }]);
    expect(home.tags()).toEqual(home.tagsOf());
  });
});

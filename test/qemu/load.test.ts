/* Does a load on a real machine that is on bring all disks and the memory back, or leave it standing still? */
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

/** Every disk holds 0x11 when it is captured and 0x22 by now. */
async function captured(home: House): Promise<string> {
  await writeAll(home, 0x11);
  const { snapshotId, end } = await home.book.create();
  expect(end).toBe('created');
  await writeAll(home, 0x22);
  return snapshotId;
}

async function writeAll({ vm, disks }: House, pattern: number): Promise<void> {
  for (const { node } of disks) await guestWrite(vm, node, pattern);
}

/** Whether every disk holds it. */
async function allHold({ vm, disks }: House, pattern: number): Promise<boolean> {
  const held: boolean[] = [];
  for (const { node } of disks) held.push(await guestReadPattern(vm, node, pattern));
  return held.every(Boolean);
}

const stateOf = async ({ vm }: House): Promise<unknown> =>
  ((await vm.monitor.execute('query-status')) as { status: unknown }).status;

/** Starts the machine anew, standing, with a disk b whose reverts fail, once or for good. */
async function bootFailing(home: House, once: 'on' | 'off'): Promise<void> {
  await home.vm.stop();
  const blkdebug = [
    'set-state.0.event=l2_load', // QEMU reads the first sector when it starts.
    'set-state.0.state=1',
    'set-state.0.new_state=2',
    'inject-error.0.event=l2_load',
    'inject-error.0.state=2',
    'inject-error.0.errno=5',
    `inject-error.0.once=${once}`,
    'inject-error.0.immediately=off',
  ];
  const disks = home.disks.map((disk) => (disk.node === 'db' ? { ...disk, blkdebug } : disk));
  await home.boot({ disks, extraArgs: ['-S'] });
}

describe.runIf(needsQemu())('on a running QEMU', () => {
  test('memory and four disks are back where they were, and the machine runs on', async () => {
    const home = await house({ letters: 'abcd' });
    const snapshotId = await captured(home);
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('loaded');
    expect(report).toMatchObject({ loaded: { runs: true } });
    expect(await allHold(home, 0x11)).toBe(true);
    expect(await stateOf(home)).toBe('running');
    expect(await home.jobsLeft()).toEqual([]);
  });

  test('the machine goes on as it was captured, or as is wished', async () => {
    const home = await house();
    await home.vm.monitor.execute('stop');
    const { snapshotId: still } = await home.book.create();
    expect((await home.book.load(still, { resume: 'running' })).report).toMatchObject({
      loaded: { runs: true },
    });
    expect(await stateOf(home)).toBe('running');
    expect((await home.book.load(still)).report).toMatchObject({ loaded: { runs: false } });
    expect(await stateOf(home)).toBe('paused');
  });

  test('a dirty bitmap keeps a load from beginning', async () => {
    const home = await house();
    const snapshotId = await captured(home);
    await home.vm.monitor.execute('block-dirty-bitmap-add', { node: 'db', name: 'backup' });
    expect((await home.book.load(snapshotId)).end).toBe('undone: not-loadable');
    expect(await stateOf(home)).toBe('running');
    expect(await allHold(home, 0x22)).toBe(true);
    await home.vm.monitor.execute('block-dirty-bitmap-remove', { node: 'db', name: 'backup' });
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
  });

  test('a tag that one disk has lost keeps a load from beginning', async () => {
    const home = await house();
    const snapshotId = await captured(home);
    const deletion = { device: 'da', name: `sl-${snapshotId}` };
    await home.vm.monitor.execute('blockdev-snapshot-delete-internal-sync', deletion);
    expect((await home.book.load(snapshotId)).end).toBe('undone: snapshot-damaged');
    expect(await stateOf(home)).toBe('running');
    expect(await allHold(home, 0x22)).toBe(true);
  });

  test('a machine with more memory than was saved is held and never runs', async () => {
    const home = await house();
    const snapshotId = await captured(home);
    await home.vm.stop();
    await home.boot({ memoryMb: 128 });
    delete home.book.snapshot(snapshotId).memory.config; // As in a log of old, which does not tell of it.
    expect((await home.book.load(snapshotId)).end).toBe('held: config-mismatch');
    expect(await stateOf(home)).toBe('paused');
    await home.vm.stop();
    await home.boot();
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(await allHold(home, 0x11)).toBe(true);
    expect(home.book.vm.hold).toBeNull();
  });

  test('a load that fails after its first disk is repeated before the machine runs again', async () => {
    const home = await house();
    const snapshotId = await captured(home);
    await bootFailing(home, 'on');
    const { end, report } = await home.book.load(snapshotId);
    expect(JSON.stringify(report)).toContain('"refused"');
    expect(end).toBe('loaded');
    expect(await allHold(home, 0x11)).toBe(true);
    expect(await stateOf(home)).toBe('running');
  });

  test('a load that always fails after its first disk is held, and the machine stands still', async () => {
    const home = await house();
    const snapshotId = await captured(home);
    await bootFailing(home, 'off');
    expect((await home.book.load(snapshotId)).end).toBe('held: refused-by-qemu');
    expect(await stateOf(home)).toBe('prelaunch');
  });
});

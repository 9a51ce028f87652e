/* Does a create take every disk of a real machine that is on, or none? */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { house } from './house.ts';
import { cleanUp, makeDisk, needsQemu, NO_SPACE, snapshotTags } from './rig.ts';

afterAll(cleanUp);

/** Creates well twice over and fails from the third allocation on, which is the rollback's. */
const failsAtDelete = [
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

describe.runIf(needsQemu())('on a running QEMU', () => {
  test('four disks are captured in one transaction', async () => {
    const home = await house({ letters: 'abcd' });
    const { snapshotId, end, report } = await home.book.create({ diskOnly: true });
    expect(end).toBe('created');
    expect(home.tags()).toEqual(home.tagsOf(snapshotId));
    expect(report).toMatchObject({ created: { vmState: 'running', consistency: 'crash' } });
    expect(home.book.snapshot(snapshotId).evidence).toHaveLength(4);
    expect(await home.jobsLeft()).toEqual([]);
  });

  test('memory goes with the last disk, and the machine runs on', async () => {
    const home = await house();
    const { snapshotId, report } = await home.book.create();
    expect(home.tags()).toEqual(home.tagsOf(snapshotId));
    expect(report).toMatchObject({
      created: { consistency: 'memory', memory: { mode: 'internal', device: 'dev-db' } },
    });
    expect(
      home.book.snapshot(snapshotId).evidence.map(({ vmStateSizeBytes }) => vmStateSizeBytes > 0),
    ).toEqual([false, true]);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
    expect(await home.jobsLeft()).toEqual([]);
  });

  test('a paused machine is captured paused and stays so', async () => {
    const home = await house();
    await home.vm.monitor.execute('stop');
    expect((await home.book.create()).report).toMatchObject({ created: { vmState: 'paused' } });
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'paused' });
  });

  test('a raw disk fails the create and leaves no trace on the others, unless it is left out', async () => {
    const home = await house({ letters: 'abc', raw: 'c' });
    expect(() => home.book.ask()).toThrow('disk "dev-dc" is raw');
    const { snapshotId, end } = await home.book.create({ disks: [{ device: 'dev-dc', mode: 'none' }] });
    expect(end).toBe('created');
    expect(home.tags()).toEqual(home.tagsOf(snapshotId));
  });

  test('a disk without space fails the create and leaves no trace on the others', async () => {
    const home = await house({ letters: 'abc', blkdebug: { c: NO_SPACE } });
    const { end, report } = await home.book.create({ diskOnly: true });
    expect(end).toBe('undone: no-space');
    expect(report).toMatchObject({ failed: { message: expect.stringContaining('No space left on device') } });
    expect(home.tags()).toEqual(home.tagsOf());
    expect((await home.book.create()).end).toBe('undone: no-space'); // With memory it is a job that fails.
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test('a rollback that fails is seen in the file, held, and mended once the machine is off', async () => {
    const home = await house({ blkdebug: { a: failsAtDelete, b: NO_SPACE } });
    const { snapshotId, end } = await home.book.create({ diskOnly: true });
    expect(JSON.stringify(await home.vm.monitor.execute('query-block'))).not.toContain(snapshotId);
    expect(snapshotTags(home.fileOf('a'))).toEqual([`sl-${snapshotId}`]);
    expect(end).toBe('held: no-space');
    expect(home.book.vm.hold?.leftovers).toMatchObject([{ device: 'dev-da', tag: `sl-${snapshotId}` }]);
    expect(await home.hypervisor.removeLeftovers(home.book.vm)).toEqual([]);
    await home.vm.kill();
    expect(await home.hypervisor.removeLeftovers(home.book.vm)).toMatchObject([{ device: 'dev-da' }]);
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test('a job of somebody else is in the way', async () => {
    const home = await house();
    await home.vm.monitor.execute('blockdev-add', {
      driver: 'qcow2',
      'node-name': 'target',
      file: { driver: 'file', filename: makeDisk(join(home.dir, 'target.qcow2')) },
    });
    const backup = { 'job-id': 'backup', device: 'da', target: 'target', sync: 'full', speed: 1 };
    await home.vm.monitor.execute('blockdev-backup', backup);
    expect((await home.book.create()).end).toBe('undone: machine-busy');
    await home.vm.monitor.execute('job-cancel', { id: 'backup' });
  });
});

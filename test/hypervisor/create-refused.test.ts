/* What keeps a create from beginning, and is nothing touched then? */
import { NotNow } from '#hypervisor';
import { tagOf } from '#ledger';
import { describe, expect, test } from 'vitest';
import { fakeImage, putTag } from './fake-image.ts';
import { outcomeOf } from './notebook.ts';
import { running } from './stage.ts';

describe('before a create begins', () => {
  test('a job of somebody else is in the way', async () => {
    const { qemu, book } = await running();
    qemu.jobs.push({ id: 'backup', type: 'backup', status: 'running' });
    const { end, report } = await book.create();
    expect(end).toBe('undone: machine-busy');
    expect(report).toMatchObject({ failed: { message: expect.stringContaining('"backup"'), leftovers: [] } });
    expect(qemu.commands).toEqual([]);
  });

  test('a job of somebody else that is over is not in the way', async () => {
    const { qemu, book } = await running();
    qemu.jobs.push({ id: 'backup', type: 'backup', status: 'concluded' });
    expect((await book.create()).end).toBe('created');
  });

  test('a job of ours that still runs is waited for', async () => {
    const { qemu, book } = await running();
    const id = 'j-01a1fe18-2458-7065-ae02-7e09d6935f3f-2';
    qemu.jobs.push({ id, type: 'snapshot-save', status: 'running' });
    book.ask();
    await expect(book.work()).rejects.toMatchObject({ name: 'NotNow', reason: 'machine-busy' });
    qemu.jobs = [{ id, type: 'snapshot-save', status: 'concluded' }];
    expect(outcomeOf(await book.work()).end).toBe('created');
    expect(qemu.jobs).toEqual([]);
  });

  test('a migration is in the way', async () => {
    const { qemu, book } = await running();
    qemu.migration = 'active';
    expect((await book.create()).end).toBe('undone: machine-busy');
  });

  test.each(['inmigrate', 'postmigrate', 'finish-migrate', 'save-vm', 'restore-vm'])(
    'the run state %s is in the way',
    async (runState) => {
      const { qemu, book } = await running();
      qemu.runState = runState;
      expect((await book.create()).end).toBe('undone: machine-busy');
    },
  );

  test.each(['paused', 'prelaunch', 'guest-panicked', 'io-error', 'shutdown'])(
    'the run state %s counts as paused',
    async (runState) => {
      const { qemu, book } = await running();
      qemu.runState = runState;
      expect((await book.create()).report).toMatchObject({ created: { vmState: 'paused' } });
    },
  );

  test('a tag of ours on one disk is in the way: QEMU would make a second one', async () => {
    const { qemu, book, host } = await running();
    const snapshotId = book.ask();
    putTag(host.image('b'), tagOf(snapshotId));
    expect(outcomeOf(await book.work()).end).toBe('undone: id-used');
    expect(qemu.commands).toEqual([]);
    expect(host.image('b').tags).toHaveLength(1);
  });

  test('a foreign tag of the same name, made since we last looked, is in the way', async () => {
    const { book, host } = await running();
    putTag(host.image('b'), 'before-upgrade');
    expect((await book.create({ name: 'before-upgrade' })).end).toBe('undone: name-taken');
  });

  test.each(['', '1', '..', '__proto__', '%s', 'sl-', ' tag\n'])(
    'a foreign tag that reads %j is none of our business',
    async (name) => {
      const { book, host } = await running();
      putTag(host.image('a'), name);
      putTag(host.image('a'), name);
      const { snapshotId, end } = await book.create();
      expect(end).toBe('created');
      expect((await book.delete(snapshotId)).end).toBe('deleted');
      expect(host.image('a').tags.map((tag) => tag.name)).toEqual([name, name]);
    },
  );

  test('our own tags are not foreign', async () => {
    const { book } = await running();
    await book.create();
    await book.create();
    expect(book.vm.foreignTags).toEqual([]);
    expect(book.events.map(({ type }) => type)).not.toContain('DisksChanged');
  });

  test('a full file system is in the way', async () => {
    const { book, host } = await running();
    host.freeBytes = 100_000;
    expect((await book.create()).end).toBe('undone: no-space');
  });

  test('a raw disk that was plugged in since fails the create, and nothing is touched', async () => {
    const { qemu, book } = await running();
    qemu.drives.push({ node: 'nc', file: '/images/c', image: fakeImage('raw') });
    expect((await book.create()).end).toBe('undone: disk-unsupported');
    expect(qemu.commands).toEqual([]);
    // A ledger that believed in the disk would refuse the next create without a look, also when it is gone again.
    expect(book.vm.disks.map(({ device }) => device)).toEqual(['na-dev', 'nb-dev']);
  });

  test('a qcow2 disk that was plugged in since is captured with the others', async () => {
    const { qemu, book, host } = await running();
    host.images.set('/images/c', fakeImage());
    qemu.drives.push({ node: 'nc', file: '/images/c', image: host.image('c') });
    const { snapshotId } = await book.create();
    expect(book.snapshot(snapshotId).evidence.map(({ device }) => device)).toEqual([
      'na-dev',
      'nb-dev',
      'nc-dev',
    ]);
  });

  test('a disk that vanished since fails the create', async () => {
    const { qemu, book } = await running();
    book.ask();
    qemu.drives.pop();
    expect(outcomeOf(await book.work()).end).toBe('undone: disk-unsupported');
    expect(qemu.commands).toEqual([]);
  });

  test('a node that got another name since is found by its device', async () => {
    const { qemu, book } = await running();
    qemu.drives = qemu.drives.map((drive) => ({
      ...drive,
      id: `${drive.node}-dev`,
      node: `${drive.node}-2`,
    }));
    expect((await book.create()).end).toBe('created');
    expect(book.vm.disks.map(({ node }) => node)).toEqual(['na-2', 'nb-2']);
  });

  test('memory cannot be asked of a machine that is off', async () => {
    const { book, host } = await running();
    host.die();
    expect((await book.create({ memory: 'internal' })).end).toBe('undone: invalid-combination');
  });

  test('an occupied monitor is not a machine that is off', async () => {
    const stage = await running();
    await stage.hypervisor.close();
    await stage.qemu.monitor.connect('somebody else');
    stage.succeed();
    stage.book.ask();
    await expect(stage.book.work()).rejects.toMatchObject({
      name: 'NotNow',
      reason: 'host-unreachable',
      afterMs: 2_000,
    });
    expect(stage.host.toolCalls).toEqual([]);
  });

  test('a machine whose images somebody has open is not off either', async () => {
    const { book, host } = await running();
    book.ask();
    host.die();
    host.image('b').lockedBy = 'a QEMU that starts';
    await expect(book.work()).rejects.toBeInstanceOf(NotNow);
  });
});

test('a disk that is left out is left alone, whatever its format', async () => {
  const { qemu, book } = await running(['qcow2', 'raw']);
  const { end } = await book.create({ disks: [{ device: 'nb-dev', mode: 'none' }] });
  expect(end).toBe('created');
  expect(qemu.monitor.received.find(({ command }) => command === 'snapshot-save')?.args).toMatchObject({
    vmstate: 'na',
    devices: ['na'],
  });
});

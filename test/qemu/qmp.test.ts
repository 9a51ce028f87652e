/* Does our client understand a real QEMU, and does the fake behave like one? */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  classifyRefusal,
  dismissJob,
  jobOf,
  openMonitor,
  parseBlocks,
  parseJobs,
  parseMigration,
  parseNodes,
  parseStatus,
  QmpRefused,
  type Monitor,
  type OpenOptions,
  type TranscriptEntry,
} from '#qmp';
import { realWorld } from '#world';
import { afterEach, describe, expect, test } from 'vitest';
import {
  cleanUp,
  guestReadPattern,
  guestWrite,
  makeDirectory,
  makeDisk,
  needsQemu,
  snapshotTags,
  startQemu,
  type RigMachine,
} from './rig.ts';

const world = realWorld();

/** Two qcow2 disks, da and db. */
async function machine(): Promise<RigMachine & { a: string; b: string }> {
  const dir = makeDirectory();
  const [a, b] = [makeDisk(join(dir, 'a.qcow2')), makeDisk(join(dir, 'b.qcow2'))];
  const disks = [
    { node: 'da', file: a, format: 'qcow2' },
    { node: 'db', file: b, format: 'qcow2' },
  ] as const;
  return Object.assign(await startQemu({ disks, dir }), { a, b });
}

const open = (vm: RigMachine, options?: OpenOptions): Promise<Monitor> =>
  openMonitor(world, vm.monitorPath, options);

const snapshotBoth = (monitor: Monitor, name: string, timeoutMs = 10_000): Promise<unknown> => {
  const actions = ['da', 'db'].map((device) => ({
    type: 'blockdev-snapshot-internal-sync',
    data: { device, name },
  }));
  return monitor.execute('transaction', { actions }, { timeoutMs });
};

const save = (jobId: string, tag: string, devices = ['da', 'db']) =>
  ['snapshot-save', { 'job-id': jobId, tag, vmstate: devices.at(-1), devices }] as const;

const qdev = (node: string): string => `/machine/peripheral/dev-${node}/virtio-backend`;

/** QEMU's words, and what we make of them. */
async function refusalOf(work: Promise<unknown>): Promise<[string, string]> {
  const error: unknown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(error instanceof QmpRefused)) throw new Error(`not refused: ${String(error)}`);
  return [error.description, classifyRefusal(error.description, error.errorClass)];
}

describe.runIf(needsQemu())('on real QEMU', () => {
  afterEach(cleanUp);

  test('QEMU greets with its version and answers', async () => {
    const vm = await machine();
    const transcript: TranscriptEntry[] = [];
    const monitor = await open(vm, { transcript: (entry) => transcript.push(entry) });
    expect(monitor.version.major).toBeGreaterThanOrEqual(7);
    expect(parseStatus(await monitor.execute('query-status'))).toBe('running');
    expect(parseMigration(await monitor.execute('query-migrate'))).toMatchObject({
      status: 'none',
      error: null,
    });
    expect(parseJobs(await monitor.execute('query-jobs'))).toEqual([]);
    expect(transcript.map(({ direction }) => direction)).toEqual([
      'received',
      ...Array.from({ length: 4 }, () => ['sent', 'received']).flat(),
    ]);
  });

  test('disks are read as QEMU tells of them, whatever lies between format and file', async () => {
    const dir = makeDirectory();
    const [a, b] = [makeDisk(join(dir, 'a.qcow2')), makeDisk(join(dir, 'b.raw'), { format: 'raw' })];
    const blkdebug = ['inject-error.0.event=l2_load', 'inject-error.0.once=off'];
    const vm = await startQemu({
      dir,
      disks: [
        { node: 'da', file: a, format: 'qcow2', blkdebug },
        { node: 'db', file: b, format: 'raw' },
      ],
      extraArgs: ['-device', 'ide-cd,id=empty'],
    });
    const monitor = await open(vm);
    await monitor.execute('blockdev-snapshot-internal-sync', { device: 'da', name: 'sl-1' });
    await monitor.execute('block-dirty-bitmap-add', { node: 'db', name: 'b0' });
    const disk = {
      device: '',
      readOnly: false,
      hasDirtyBitmaps: false,
      virtualSizeBytes: 8 << 20,
      backingFile: null,
    };
    const snapshot = expect.objectContaining({ id: '1', name: 'sl-1', vmStateSize: 0 });
    const blocks = parseBlocks(await monitor.execute('query-block'));
    expect(blocks.toSorted((x, y) => x.nodeName.localeCompare(y.nodeName))).toEqual([
      { ...disk, qdev: qdev('da'), nodeName: 'da', driver: 'qcow2', file: a, snapshots: [snapshot] },
      {
        ...disk,
        qdev: qdev('db'),
        nodeName: 'db',
        driver: 'raw',
        file: b,
        snapshots: [],
        hasDirtyBitmaps: true,
      },
    ]);
    const nodes = parseNodes(await monitor.execute('query-named-block-nodes', { flat: true }));
    expect(nodes.map(({ nodeName }) => nodeName).toSorted()).toEqual(['da', 'da_d', 'da_f', 'db', 'db_f']);
  });

  test('an overlay is read with its own file and the one below', async () => {
    const vm = await machine();
    const monitor = await open(vm);
    const overlay = join(vm.dir, 'a1.qcow2');
    makeDisk(overlay);
    const file = { driver: 'file', filename: overlay };
    await monitor.execute('blockdev-add', { driver: 'qcow2', 'node-name': 'da1', file, backing: null });
    await monitor.execute('blockdev-snapshot', { node: 'da', overlay: 'da1' });
    const disk = parseBlocks(await monitor.execute('query-block')).find(({ nodeName }) => nodeName === 'da1');
    expect(disk).toMatchObject({ file: overlay, backingFile: vm.a, driver: 'qcow2' });
  });

  test("QEMU's refusals arrive in its own words and are sorted", async () => {
    const vm = await machine();
    const monitor = await open(vm);
    await snapshotBoth(monitor, 's1');
    const remove = (device: string) =>
      monitor.execute('blockdev-snapshot-delete-internal-sync', { device, name: 'nosuch' });
    expect(await refusalOf(snapshotBoth(monitor, 's1'))).toEqual([
      "Snapshot with name 's1' already exists on device 'da'",
      'name-conflict',
    ]);
    expect(await refusalOf(snapshotBoth(monitor, ''))).toEqual(['Name is empty', 'bad-request']);
    expect((await refusalOf(remove('da')))[1]).toBe('not-found');
    expect((await refusalOf(remove('dz')))[1]).toBe('node-gone');
    expect((await refusalOf(remove('da_f')))[1]).toBe('busy');
    expect((await refusalOf(monitor.execute('query-nothing')))[1]).toBe('protocol');
    expect((await refusalOf(monitor.execute('stop', { now: true })))[1]).toBe('protocol');
    expect((await refusalOf(monitor.execute('eject', { device: 'dz' })))[1]).toBe('node-gone');
    expect(snapshotTags(vm.a)).toEqual(['s1']);
  });

  test('a thousand commands sent at once are answered each with its own', async () => {
    const monitor = await open(await machine());
    const paths = Array.from({ length: 1_000 }, (_, n) => (n % 2 === 0 ? 'query-status' : 'query-jobs'));
    const replies = await Promise.all(paths.map((command) => monitor.execute(command)));
    expect(replies.every((reply, n) => Array.isArray(reply) === (n % 2 === 1))).toBe(true);
  });

  test('a save and a load run to their end, and the guest reads what it wrote', async () => {
    const vm = await machine();
    const monitor = await open(vm);
    const events = monitor.listen(['STOP', 'RESUME']);
    await guestWrite(vm, 'da', 0x11);
    await monitor.runJob(...save('j-1', 't1'));
    expect([(await events.next(1_000))?.name, (await events.next(1_000))?.name]).toEqual(['STOP', 'RESUME']);
    await guestWrite(vm, 'da', 0x22);
    expect(await guestReadPattern(vm, 'da', 0x11)).toBe(false);
    await monitor.runJob('snapshot-load', save('j-1', 't1')[1]);
    expect(await guestReadPattern(vm, 'da', 0x11)).toBe(true);
    expect(await jobOf(monitor, 'j-1')).toBeNull();
    expect([snapshotTags(vm.a), snapshotTags(vm.b)]).toEqual([['t1'], ['t1']]);
  });

  test("a save that fails is refused in the job's own words, and its id is free again", async () => {
    const monitor = await open(await machine());
    const words = "No block device node 'dz'";
    for (let time = 0; time < 2; time++) {
      await expect(monitor.runJob(...save('j-1', 't1', ['da', 'dz']))).rejects.toMatchObject({
        description: words,
      });
    }
    expect(parseJobs(await monitor.execute('query-jobs'))).toEqual([]);
    await expect(monitor.runJob(...save('1-j', 't1'))).rejects.toMatchObject({
      description: "Invalid job ID '1-j'",
    });
  });

  test('a job whose client left can be read and dismissed by the next one', async () => {
    const vm = await machine();
    const first = await open(vm);
    await first.execute(...save('j-1', 't1'));
    first.close();
    const second = await open(vm);
    await expect.poll(() => jobOf(second, 'j-1')).toMatchObject({ status: 'concluded', error: null });
    await dismissJob(second, 'j-1');
    await dismissJob(second, 'j-1');
    expect(await jobOf(second, 'j-1')).toBeNull();
  });

  test('a monitor that serves another client is occupied, and free when that one leaves', async () => {
    const vm = await machine();
    const first = await open(vm);
    await expect(open(vm, { greetingTimeoutMs: 200 })).rejects.toMatchObject({ kind: 'occupied' });
    first.close();
    expect((await open(vm)).isOpen).toBe(true);
  });

  test('QEMU killed in the middle of a command leaves it unknown, and the monitor is off afterwards', async () => {
    const dir = makeDirectory();
    const [a, b] = [makeDisk(join(dir, 'a.qcow2')), makeDisk(join(dir, 'b.qcow2'))];
    const vm = await startQemu({
      dir,
      disks: [
        { node: 'da', file: a, format: 'qcow2' },
        { node: 'db', file: b, format: 'qcow2', blkdebug: [] },
      ],
    });
    const stall = { 'command-line': 'qemu-io db_d "break flush_to_os A"' };
    await vm.monitor.execute('human-monitor-command', stall);
    const monitor = await open(vm);
    const inTime = snapshotBoth(monitor, 's1', 200);
    await expect(inTime).rejects.toMatchObject({ name: 'QmpUnknown', cause: 'timeout' });
    expect(monitor.isOpen).toBe(true);
    const ending = new Promise<void>((resolve) => monitor.onClose(resolve));
    const waiting = expect(monitor.execute('query-status')).rejects.toMatchObject({ cause: 'closed' });
    await vm.kill();
    await Promise.all([waiting, ending]);
    await expect(monitor.execute('query-status')).rejects.toMatchObject({
      name: 'MonitorTrouble',
      kind: 'closed',
    });
    await expect(open(vm)).rejects.toMatchObject({ kind: 'off' });
    expect([snapshotTags(a), snapshotTags(b)]).toEqual([['s1'], []]); // Why the worker looks: one disk of two.
  });

  test('a machine that ends by itself takes its monitor away', async () => {
    const vm = await machine();
    const monitor = await open(vm);
    const events = monitor.listen(['SHUTDOWN']);
    await vm.stop();
    expect((await events.next(1_000))?.data).toMatchObject({ reason: 'host-signal' });
    await expect(open(vm)).rejects.toMatchObject({ kind: 'off' });
  });
});

describe('on a real socket', () => {
  afterEach(cleanUp);

  test('a path where nothing is, or no socket, is off', async () => {
    const file = join(makeDirectory(), 'file');
    await expect(openMonitor(world, file)).rejects.toMatchObject({ kind: 'off' });
    writeFileSync(file, '');
    await expect(openMonitor(world, file)).rejects.toMatchObject({ kind: 'off' });
  });

  test('a path longer than a socket can have is not a monitor', async () => {
    await expect(openMonitor(world, `/${'x'.repeat(200)}`)).rejects.toMatchObject({ kind: 'not-a-monitor' });
  });

  test('another program behind the socket is not a monitor', async () => {
    const path = join(makeDirectory(), 'other.sock');
    const server = createServer((socket) => socket.end('220 mail ready\r\n')).listen(path);
    await expect(openMonitor(world, path)).rejects.toMatchObject({ kind: 'not-a-monitor' });
    server.close();
  });

  test('a program that never greets is occupied', async () => {
    const path = join(makeDirectory(), 'mute.sock');
    const server = createServer(() => {}).listen(path);
    await expect(openMonitor(world, path, { greetingTimeoutMs: 100 })).rejects.toMatchObject({
      kind: 'occupied',
    });
    server.close();
  });
});

/* What does a registration find, and what does it say to what is no machine? */
import { openHypervisor } from '#hypervisor';
import { fakeMonitor, fakeSilence } from '#qmp';
import { expect, test } from 'vitest';
import { fakeImage, putTag } from './fake-image.ts';
import { FakeHost, IMAGES, MONITOR } from './fake-host.ts';
import { Notebook } from './notebook.ts';
import { running, switchedOff } from './stage.ts';

function hostAndHypervisor(formats?: readonly string[], monitorRoots = ['/run/vm']) {
  const host = new FakeHost(formats);
  const imageRoots = [IMAGES];
  const options = { world: host.world, monitorRoots, imageRoots, worker: 'w', transcriptsDir: '/data' };
  return { host, hypervisor: openHypervisor(options) };
}

const described = (device: string, file: string, format = 'qcow2') => ({ device, file, format });

test('a running machine tells of its disks, its foreign tags and its power', async () => {
  const { host, hypervisor } = hostAndHypervisor(['qcow2', 'raw']);
  putTag(host.image('a'), 'before-upgrade');
  putTag(host.image('a'), '');
  putTag(host.image('a'), 'sl-01a1fe18-2458-7065-ae02-7e09d6935f3f'); // Of an earlier life: foreign until adopted.
  host.boot();
  expect(await hypervisor.discover({ monitor: MONITOR })).toEqual({
    monitor: MONITOR,
    disks: [
      {
        device: 'na-dev',
        node: 'na',
        format: 'qcow2',
        file: '/images/a',
        readOnly: false,
        default: 'internal',
      },
      { device: 'nb-dev', node: 'nb', format: 'raw', file: '/images/b', readOnly: false, default: null },
    ],
    foreignTags: [
      { device: 'na-dev', tag: 'before-upgrade' },
      { device: 'na-dev', tag: 'sl-01a1fe18-2458-7065-ae02-7e09d6935f3f' },
    ],
    below: [],
    power: 'running',
  });
});

test('two disks that would be called the same are told apart by their nodes', async () => {
  const { host, hypervisor } = hostAndHypervisor();
  const qemu = host.boot();
  qemu.drives = qemu.drives.map((drive) => ({ ...drive, id: 'disk' }));
  const { disks } = await hypervisor.discover({ monitor: MONITOR });
  expect(disks.map(({ device }) => device)).toEqual(['disk', 'nb']);
});

test('a machine that is off is registered by a description of its disks', async () => {
  const { host, hypervisor } = hostAndHypervisor(['qcow2', 'raw']);
  putTag(host.image('a'), 'old');
  const disks = [described('vda', '/images/a'), described('vdb', '/images/b', 'raw')];
  expect(await hypervisor.discover({ monitor: MONITOR, disks })).toMatchObject({
    disks: [
      { device: 'vda', node: '', default: 'internal' },
      { device: 'vdb', node: '', default: null },
    ],
    foreignTags: [{ device: 'vda', tag: 'old' }],
    power: 'off',
  });
});

test.each([
  ['a device that QEMU could not have', [described('__proto__', '/images/a')], 'invalid-body'],
  ['a device twice', [described('a', '/images/a'), described('a', '/images/b')], 'invalid-body'],
  ['a file twice', [described('a', '/images/a'), described('b', '/images/a')], 'invalid-body'],
  [
    'more disks than a machine has',
    Array.from({ length: 65 }, () => described('a', '/images/a')),
    'invalid-body',
  ],
  ['a protocol for a format', [described('a', '/images/a', 'nbd')], 'disk-unsupported'],
  ['another format than the file has', [described('a', '/images/b')], 'disk-unsupported'],
  ['a file that is not there', [described('a', '/images/z')], 'disk-unsupported'],
  ['a file outside the image roots', [described('a', '/etc/shadow')], 'path-not-allowed'],
  ['a file that climbs out', [described('a', '/images/../etc/shadow')], 'path-not-allowed'],
  ['a network disk', [described('a', 'nbd:localhost:1')], 'path-not-allowed'],
  ['a disk in JSON', [described('a', 'json:{"driver":"nbd"}')], 'path-not-allowed'],
  ['a command', [described('a', 'exec:touch /tmp/x')], 'path-not-allowed'],
])('a description may not name %s', async (_, disks, code) => {
  const { hypervisor } = hostAndHypervisor(['qcow2', 'raw']);
  await expect(hypervisor.discover({ monitor: MONITOR, disks })).rejects.toMatchObject({ code });
});

test('a description may not contradict a running machine', async () => {
  const { host, hypervisor } = hostAndHypervisor();
  host.boot();
  const right = [described('na-dev', '/images/a')];
  await expect(hypervisor.discover({ monitor: MONITOR, disks: right })).resolves.toMatchObject({
    power: 'running',
  });
  const wrong = [described('na-dev', '/images/b')];
  await expect(hypervisor.discover({ monitor: MONITOR, disks: wrong })).rejects.toMatchObject({
    code: 'disk-unsupported',
  });
});

test('without a monitor root no monitor is opened, and the refusal says which option to set', async () => {
  const { hypervisor } = hostAndHypervisor([], []);
  await expect(hypervisor.discover({ monitor: MONITOR })).rejects.toMatchObject({
    code: 'path-not-allowed',
    message: expect.stringContaining('--monitor-root'),
  });
});

test.each([
  ['nobody', null, 'nobody listens'],
  ['somebody who never greets', fakeMonitor({ greeting: null }).connect, 'did not greet'],
  ['another program', fakeMonitor({ greeting: 'SSH-2.0-OpenSSH_9.2\r\n' }).connect, 'does not speak QMP'],
  ['a QMP server without a machine', fakeMonitor().connect, "is not a QEMU machine's monitor"],
])('behind a monitor there may be %s', async (_, stranger, words) => {
  const { host, hypervisor } = hostAndHypervisor();
  host.stranger = stranger;
  await expect(hypervisor.discover({ monitor: MONITOR })).rejects.toMatchObject({
    code: 'not-a-monitor',
    message: expect.stringContaining(words),
  });
});

test('a machine without a writable disk has nothing to snapshot', async () => {
  const { host, hypervisor } = hostAndHypervisor();
  const qemu = host.boot();
  qemu.drives = qemu.drives.map((drive) => ({ ...drive, readOnly: true }));
  await expect(hypervisor.discover({ monitor: MONITOR })).rejects.toMatchObject({
    code: 'nothing-to-snapshot',
  });
});

test('a status tells for each disk whether it can be captured', async () => {
  const { host, hypervisor, book, qemu } = await running(['qcow2', 'raw']);
  expect(await hypervisor.status(book.vm)).toEqual({
    snapshottable: false,
    isOnWrongChain: false,
    reasons: ['disk "nb-dev": raw cannot hold snapshots: say "external" or "none" for it'],
    disks: [
      { device: 'na-dev', snapshottable: true },
      {
        device: 'nb-dev',
        snapshottable: false,
        reason: 'raw cannot hold snapshots: say "external" or "none" for it',
      },
    ],
  });
  book.handle({ type: 'ChangeVm', change: { defaults: { 'nb-dev': 'none' } } });
  expect(await hypervisor.status(book.vm)).toMatchObject({ snapshottable: true, reasons: [] });
  qemu.jobs.push({ id: 'backup', type: 'backup', status: 'running' });
  host.freeBytes = 0;
  expect((await hypervisor.status(book.vm)).reasons).toEqual([
    'the machine is busy: the job "backup" (backup) is running',
    'disk "na-dev": only 0 bytes are free where it lies',
  ]);
});

test('a status of a machine that is off is read past the locks, so that it keeps nobody from starting it', async () => {
  const { host, hypervisor, book } = await switchedOff();
  expect(await hypervisor.status(book.vm)).toMatchObject({ snapshottable: true });
  expect(host.toolCalls).toEqual(['info -U', 'info -U']);
});

test('a status tells of a wrong chain that holds the VM, though the machine is off by now', async () => {
  const { book, hypervisor } = await switchedOff();
  book.vm.drift = [{ kind: 'wrong-chain', device: 'na-dev', message: 'started from /a', evidence: [] }];
  expect(await hypervisor.status(book.vm)).toMatchObject({
    snapshottable: false,
    reasons: ['the VM is held until it is reconciled: started from /a'],
  });
});

test('a status that cannot be had is refused', async () => {
  const { hypervisor, book, qemu } = await running();
  qemu.interfere('query-block', () => fakeSilence);
  await expect(hypervisor.status(book.vm)).rejects.toMatchObject({ code: 'host-unreachable' });
});

test('every word to QEMU and qemu-img is kept, and the report bears the digest of it', async () => {
  const { host, book, qemu } = await running();
  const { report } = await book.create();
  const file = `/data/transcripts/${report.type === 'ReportCreated' ? report.created.operationId : ''}.ndjson`;
  const lines = (host.texts.get(file) ?? '').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(
    expect.objectContaining({ direction: 'sent', text: expect.stringContaining('snapshot-save') }),
  );
  expect(report).toMatchObject({ created: { transcriptDigest: await sha256(host.texts.get(file) ?? '') } });
  expect(qemu.commands).toContain('snapshot-save');
});

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Buffer.from(digest).toString('hex');
}

test('a transcript that cannot be written costs its digest, not the operation', async () => {
  const host = new FakeHost();
  host.boot();
  const options = { world: host.world, monitorRoots: ['/run/vm'], imageRoots: [], worker: 'w' };
  const book = new Notebook(openHypervisor({ ...options, transcriptsDir: '/full' }));
  await book.register(MONITOR);
  expect((await book.create()).report).toMatchObject({
    type: 'ReportCreated',
    created: { transcriptDigest: '' },
  });
});

test('a session is shared, kept for a while, and then closed', async () => {
  const { host, hypervisor, book, qemu } = await running();
  const negotiations = (): number =>
    qemu.monitor.received.filter(({ command }) => command === 'qmp_capabilities').length;
  await Promise.all([hypervisor.status(book.vm), hypervisor.status(book.vm), book.create()]);
  expect(negotiations()).toBe(1);
  await host.world.clock.sleep(4_000);
  await hypervisor.status(book.vm);
  expect(negotiations()).toBe(1);
  await host.world.clock.sleep(6_000);
  await hypervisor.status(book.vm);
  expect(negotiations()).toBe(2);
  await hypervisor.close();
  await expect(hypervisor.status(book.vm)).rejects.toMatchObject({ code: 'host-unreachable' });
});

test('a session that takes long to answer one stays open though another has left', async () => {
  const { host, hypervisor, book, qemu } = await running();
  qemu.interfere('transaction', async (_, proceed) => {
    await host.world.clock.sleep(9_000);
    return proceed();
  });
  const creating = book.create({ diskOnly: true });
  await host.world.clock.sleep(1_000);
  await expect(hypervisor.status(book.vm)).rejects.toMatchObject({ code: 'host-unreachable' });
  expect((await creating).end).toBe('created');
  expect(qemu.monitor.received.filter(({ command }) => command === 'qmp_capabilities')).toHaveLength(1);
});

test('the disks of a sight are read-only where QEMU says so', async () => {
  const { host, hypervisor } = hostAndHypervisor();
  const qemu = host.boot();
  qemu.drives.push({ node: 'cd', file: '/images/cd.iso', image: fakeImage('raw'), readOnly: true });
  const { disks } = await hypervisor.discover({ monitor: MONITOR });
  expect(disks.map(({ device, readOnly }) => [device, readOnly])).toEqual([
    ['na-dev', false],
    ['nb-dev', false],
    ['cd-dev', true],
  ]);
});

test('a chain that cannot be read right now is refused, and may be asked for again', async () => {
  const { host, hypervisor } = hostAndHypervisor();
  const qemu = host.boot();
  qemu.drives = qemu.drives.map((drive, index) => ({ ...drive, readOnly: index === 1 }));
  host.tool = () => ({ code: null, stdout: '', stderr: '' });
  await expect(hypervisor.discover({ monitor: MONITOR })).rejects.toMatchObject({ code: 'host-unreachable' });
});

import { expect, test } from 'vitest';
import { ledgerd, type Ledgerd } from '../http/ledgerd.ts';
import { ctl, type Ran } from './ctl.ts';

/** What the fake ledgerd of the other tests promises, the real one keeps. */
async function withMachine(): Promise<{ daemon: Ledgerd; run: (words: string) => Promise<Ran> }> {
  const daemon = await ledgerd();
  const run = (words: string) => ctl(daemon.url, words.split(' '));
  expect(await run('vm add web1 --monitor /m/web1.sock')).toMatchObject({ code: 0 });
  return { daemon, run };
}

const withoutTimes = (text: string): string => text.replaceAll(/ +\d{4}-\S+ \S+Z/g, '');

test('the story of 2010: savevm a b c d, loadvm b, savevm e', async () => {
  const { run } = await withMachine();
  for (const name of ['a', 'b', 'c', 'd']) expect((await run(`create web1 ${name}`)).code).toBe(0);
  expect((await run('load web1 b')).out).toBe('loaded b\n');
  expect((await run('create web1 e --label why=test --description here')).code).toBe(0);
  expect(withoutTimes((await run('tree web1')).out)).toBe(
    ['web1  current: e', 'a', '└── b', '    ├── c', '    │   └── d', '    └── e  ● current', ''].join('\n'),
  );
  expect((await run('show web1 e')).out).toContain('labels:      why=test\n');
  expect(JSON.parse((await run('list web1 --label why=test --json')).out)).toMatchObject({ totalSize: 1 });
  expect((await run('history web1')).out.match(/ created /g)).toHaveLength(5);
  expect((await run('operations web1 --done')).out.match(/ succeeded /g)).toHaveLength(6);
});

test('every change of a snapshot is a command, and every refusal an exit code', async () => {
  const { run } = await withMachine();
  await run('create web1 a');
  await run('create web1 b');
  for (const words of [
    'rename web1 b c',
    'describe web1 c text',
    'label web1 c k=v gone=1',
    'label web1 c gone-',
    'protect web1 c',
    'unprotect web1 c',
    'delete web1 c',
    'unretire web1 c',
    'vm show web1',
    'vm status web1',
    'vm list',
    'operations',
  ]) {
    expect(await run(words), words).toMatchObject({ code: 0, err: '' });
  }
  expect((await run('show web1 c')).out).toContain('labels:      k=v\n');
  expect(await run('create web1 a')).toMatchObject({ code: 3, err: expect.stringContaining('name-taken') });
  expect(await run('delete web1 a --discard')).toMatchObject({
    code: 3,
    err: expect.stringContaining('has-children'),
  });
  expect(await run('list web1 --as-of yesterday')).toMatchObject({ code: 3 });
  expect(await run('rename web1 c d --if-match 1')).toMatchObject({ code: 3 });
  expect(await run('delete web1 a --discard-force')).toMatchObject({ code: 0, out: 'deleted a\n' });
  expect(await run('vm forget web1')).toMatchObject({ code: 0 });
  expect(await run('vm show web1')).toMatchObject({ code: 3 });
});

test('a machine is changed in what was said, and in nothing else', async () => {
  const { run } = await withMachine();
  const words =
    'vm change web1 --name web2 --label rack=7 --label gone=1 --guest-agent /m/ga --disk vda=none';
  expect(await run(words)).toEqual({ code: 0, out: 'changed web1\n', err: '' });
  expect(await run('vm change web2 --label gone- --label new=2')).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse((await run('vm show web2 --json')).out)).toMatchObject({
    ...{ name: 'web2', monitor: '/m/web1.sock', guestAgent: '/m/ga', labels: { rack: '7', new: '2' } },
    disks: [
      { device: 'vda', default: 'none' },
      { device: 'vdb', default: 'internal' },
    ],
  });
  const { out } = await run('vm change web2 --no-guest-agent --json');
  expect(JSON.parse(out)).toMatchObject({ guestAgent: null, labels: { rack: '7', new: '2' } });
  expect(await run('vm change web2 --disk vdz=none')).toMatchObject({
    code: 3,
    err: expect.stringContaining('disk-unsupported'),
  });
});

test('how an operation ends is the exit code: 5 undone, 6 held, and a hold is released', async () => {
  const { daemon, run } = await withMachine();
  daemon.machines.next.end = 'refused';
  expect(await run('create web1 a')).toMatchObject({ code: 5, err: expect.stringContaining('QEMU said no') });
  daemon.machines.next.end = 'held';
  expect(await run('create web1 b')).toMatchObject({
    code: 6,
    err: expect.stringContaining('it would not go'),
  });
  expect(await run('create web1 c')).toMatchObject({ code: 3, err: expect.stringContaining('vm-held') });
  expect((await run('tree web1')).out).toContain('Held: ');
  expect(await run('release web1 looked')).toMatchObject({ code: 0 });
  daemon.machines.next.end = 'never';
  const { code, err } = await run('create web1 c --timeout 0.1');
  expect(code).toBe(6);
  const [id = ''] = /[0-9a-f-]{36}/.exec(err) ?? [];
  expect(await run('create web1 d')).toMatchObject({ code: 4, err: expect.stringContaining(id) });
  expect((await run(`operation ${id}`)).out).toContain('outcome:   not ended');
});

test('a command repeated under its key is done once', async () => {
  const { run } = await withMachine();
  const once = await run('create web1 a --key k1 --json');
  expect((await run('create web1 a --key k1 --json')).out).toBe(once.out);
  expect(await run('create web1 b --key k1')).toMatchObject({
    code: 3,
    err: expect.stringContaining('key-reused'),
  });
});

test('the log is replayed and followed', async () => {
  const { daemon, run } = await withMachine();
  await run('create web1 a');
  const { out } = await run('events web1 --json');
  const types = out
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { type: string }).type);
  expect(types).toEqual(['VmRegistered', 'SnapshotRequested', 'OperationStarted', 'SnapshotCreated']);
  expect((await run('events web1 --from-version 4')).out).toContain('SnapshotCreated');
  expect((await run('events --all')).out).toContain('VmClaimed');
  const stop = new AbortController();
  const watching = ctl(daemon.url, ['watch', 'web1', '--after', '0'], {
    interrupted: stop.signal,
    seen: (text) => text.includes('SnapshotRenamed') && stop.abort(),
  });
  await run('rename web1 a b');
  expect(await watching).toMatchObject({ code: 0, err: '', out: expect.stringContaining('SnapshotCreated') });
});

import { expect, test } from 'vitest';
import { conversation } from '../../../test/ledgerctl/conversation.ts';
import type { Route } from '../../../test/ledgerctl/fake-ledgerd.ts';
import { idOf, OPERATION_ID, snapshot, vm, VM_ID } from '../../../test/ledgerctl/specimens.ts';

const { running, lastHeard } = conversation();
const SNAPSHOTS = `/v1/vms/${VM_ID}/snapshots`;

test('list shows the snapshots, where each comes from, and where the machine stands', async () => {
  expect((await running('list web1')).out).toBe(
    [
      '   NAME  CREATED               STATUS    MACHINE  MEMORY  PARENT',
      '*  a     2026-11-21 11:30:00Z  complete  running  none    -',
      '   b     2026-11-21 11:30:00Z  complete  running  none    a',
      '',
    ].join('\n'),
  );
});

test('a list of many pages is one list, and one JSON document', async () => {
  const routes: Record<string, Route> = {
    [`GET ${SNAPSHOTS}`]: ({ query }) =>
      query['pageToken'] === 'second'
        ? { body: { snapshots: [snapshot('b')], totalSize: 2 } }
        : { body: { snapshots: [snapshot('a')], totalSize: 2, nextPageToken: 'second' } },
  };
  const { out } = await running(`list ${VM_ID} --json`, routes);
  expect(JSON.parse(out)).toEqual({ snapshots: [snapshot('a'), snapshot('b')], totalSize: 2 });
  expect(lastHeard()?.query).toEqual({ pageSize: '1000', pageToken: 'second' });
});

test('list passes on what it is to show', async () => {
  await running(`list ${VM_ID} --status retired --label a=b --label c= --as-of 2026-01-01T00:00:00Z`);
  expect(lastHeard()?.query).toMatchObject({
    status: 'retired',
    'label.a': 'b',
    'label.c': '',
    asOf: '2026-01-01T00:00:00Z',
  });
});

test('names of every script keep the columns apart, and none reaches the terminal as a command', async () => {
  const names = ['日本', '\u001b[2J', 'שלום', '🦆'];
  const routes = { [`GET ${SNAPSHOTS}`]: { body: { snapshots: names.map((name) => snapshot(name)) } } };
  const { out } = await running('list web1', routes);
  expect(out).not.toContain('\u001b');
  expect(out).toContain(String.raw`\u001b[2J  2026`);
  expect(out).toContain('日本       2026');
});

test('vm show says what is wrong with a machine', async () => {
  const held = { type: 'Held', reason: 'refused-by-qemu', message: 'sl-1 is left on vdb' };
  const { out } = await running('vm show web1', {
    [`GET /v1/vms/${VM_ID}`]: { body: vm({ conditions: [held] }) },
  });
  expect(out).toContain('Held:    refused-by-qemu: sl-1 is left on vdb\n');
  expect(out).toContain('vda     qcow2   internal  /images/a.qcow2\n');
});

test('vm status says whether and why not', async () => {
  const status = {
    snapshottable: false,
    reasons: ['vdb is raw'],
    disks: [{ device: 'vdb', snapshottable: false, reason: 'raw holds no snapshots' }],
  };
  const { code, out } = await running('vm status web1', {
    [`GET /v1/vms/${VM_ID}/status`]: { body: status },
  });
  expect(code).toBe(0);
  expect(out).toBe(
    'can be snapshotted: no\n  vdb is raw\n\nDEVICE  SNAPSHOTS  REASON\nvdb     no         raw holds no snapshots\n',
  );
});

test('history tells what was done, when and by whom', async () => {
  const entry = {
    at: '2026-11-21T11:30:00.000Z',
    actor: 'http:ann',
    action: 'create-failed',
    snapshotId: idOf('a'),
    name: 'a',
    operationId: OPERATION_ID,
    outcome: 'failed',
    reason: 'disk-unsupported',
  };
  const { out } = await running('history web1', {
    [`GET /v1/vms/${VM_ID}/history`]: { body: { entries: [entry] } },
  });
  expect(out).toContain(
    `2026-11-21 11:30:00Z  create-failed  a         failed   disk-unsupported  http:ann  ${OPERATION_ID}`,
  );
});

test('a description of many lines stays a description', async () => {
  const described = snapshot('a', { description: 'first\nstatus: complete\n\u001b]0;x\u0007' });
  const { out } = await running('show web1 a', { [`GET ${SNAPSHOTS}/${idOf('a')}`]: { body: described } });
  expect(out).toContain('description: first\n  status: complete\n  \\u001b]0;x\\u0007\n');
});

test('tree names the machine and what stands in its way', async () => {
  const held = { type: 'Held', reason: 'machine-gone', message: 'look' };
  const { out } = await running('tree web1', {
    [`GET /v1/vms/${VM_ID}`]: { body: vm({ conditions: [held] }) },
    [`GET /v1/vms/${VM_ID}/lineage`]: {
      body: {
        vmId: VM_ID,
        position: '1',
        current: { snapshotId: idOf('b'), confidence: 'assumed' },
        nodes: [
          { ...snapshot('a'), depth: 0, childCount: 1 },
          { ...snapshot('b', { current: true }), depth: 1, childCount: 0 },
        ],
      },
    },
  });
  expect(out).toBe(
    [
      'web1  current: b (assumed)',
      'Held: machine-gone: look',
      'a      2026-11-21 11:30:00Z',
      '└── b  2026-11-21 11:30:00Z  ● current',
      '',
    ].join('\n'),
  );
});

test('colours are for terminals, unless NO_COLOR is set', async () => {
  const routes = { [`GET ${SNAPSHOTS}`]: { body: { snapshots: [snapshot('a', { status: 'suspect' })] } } };
  expect((await running('list web1', routes, { isTerminal: true })).out).toContain('\u001b[31msuspect');
  const terminal = { isTerminal: true, env: { NO_COLOR: '1' } };
  expect((await running('list web1', routes, terminal)).out).not.toContain('\u001b');
  expect((await running('list web1', routes)).out).not.toContain('\u001b');
});

test('a terminal that does not read UTF-8 is sent ASCII', async () => {
  const routes = {
    [`GET ${SNAPSHOTS}`]: { body: { snapshots: [snapshot('a\u06db', { current: true })] } },
  };
  const terminal = { isTerminal: true, env: { LANG: 'C', NO_COLOR: '1' } };
  const { out } = await running('list web1', routes, terminal);
  // oxlint-disable-next-line no-control-regex
  expect(out).toMatch(/^[\u0000-\u007f]*$/);
  expect(out).toContain(String.raw`*  a\u06db`);
});

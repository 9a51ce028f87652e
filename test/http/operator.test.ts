import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHAIN_START, openSqliteStore, seal, StoreTrouble, type StoreTroubleKind } from '#event-store';
import { realWorld } from '#world';
import { type Answer, directory, type Ledgerd, ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

/** The metrics as soon as they hold this line: what counts follows the log a little later. */
async function metricsWith(daemon: Ledgerd, line: string): Promise<Answer> {
  for (let turns = 0; turns < 500; turns += 1) {
    const answer = await daemon.ask('GET', '/metrics');
    if (answer.text.includes(`${line}\n`)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`the metrics never said ${line}`);
}

test('the metrics tell what an operator would alarm on, and name no VM', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  await snapshotOn(daemon, vmId, 'a');
  await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, { name: 'a' });
  const key = { 'idempotency-key': 'k' };
  for (const _ of [1, 2]) await daemon.ask('PATCH', `/v1/vms/${vmId}`, { labels: { x: 'y' } }, key);
  await daemon.ask('PATCH', `/v1/vms/${vmId}`, {});
  daemon.machines.next.end = 'held';
  const failed = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, {});
  await daemon.ask('GET', `/v1/operations/${failed.body.id}?wait=10s`);
  await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, {});
  const { text, headers } = await metricsWith(daemon, 'snapledger_vms_held 1');
  expect(headers.get('content-type')).toContain('text/plain; version=0.0.4');
  for (const line of [
    'snapledger_commands_total{type="RegisterVm",outcome="recorded"} 1',
    'snapledger_commands_total{type="CreateSnapshot",outcome="recorded"} 2',
    'snapledger_commands_total{type="CreateSnapshot",outcome="name-taken"} 1',
    'snapledger_commands_total{type="CreateSnapshot",outcome="vm-held"} 1',
    'snapledger_commands_total{type="ChangeVm",outcome="recorded"} 1',
    'snapledger_commands_total{type="ChangeVm",outcome="replayed"} 1',
    'snapledger_commands_total{type="ChangeVm",outcome="unchanged"} 1',
    'snapledger_operations_total{kind="create",outcome="succeeded",reason=""} 1',
    'snapledger_operations_total{kind="create",outcome="needs-operator",reason="refused-by-qemu"} 1',
    'snapledger_operation_duration_seconds_count{kind="create",outcome="succeeded"} 1',
    'snapledger_operations_open 0',
    'snapledger_vms_held 1',
    'snapledger_vms_overdue 0',
    'snapledger_ready 1',
    'snapledger_watchers 0',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  for (const name of [
    'snapledger_views_lag_seconds',
    'snapledger_store_append_duration_seconds_bucket',
    'snapledger_http_request_duration_seconds_bucket',
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_seconds',
  ]) {
    expect(text).toContain(name);
  }
  expect(text).not.toContain(vmId);
  await daemon.ask('POST', `/v1/vms/${vmId}/release`, { note: 'x' });
  await metricsWith(daemon, 'snapledger_vms_held 0');
});

test('a VM whose machine is on a wrong chain is counted as held', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const wrong = { kind: 'wrong-chain' as const, device: 'vda', message: 'started from /a', evidence: [] };
  daemon.machines.found.findings = [wrong];
  await daemon.ask('POST', `/v1/vms/${vmId}/reconcile`);
  await metricsWith(daemon, 'snapledger_vms_held 1');
  daemon.machines.found.findings = [];
  await daemon.ask('POST', `/v1/vms/${vmId}/reconcile`);
  await metricsWith(daemon, 'snapledger_vms_held 0');
});

test('held VMs are counted after a restart too', async () => {
  const data = directory();
  const one = await ledgerd({ data });
  one.machines.next.end = 'held';
  const created = await one.ask('POST', `/v1/vms/${await vmOn(one)}/snapshots`, {});
  await one.ask('GET', `/v1/operations/${created.body.id}?wait=10s`);
  await one.stop();
  const two = await ledgerd({ data });
  await metricsWith(two, 'snapledger_vms_held 1');
});

test('on the log of a newer program nothing is accepted, and the reason is told', async () => {
  const data = directory();
  const before = await ledgerd({ data });
  const vmId = await vmOn(before);
  await before.stop();
  await appendFromTheFuture(join(data, 'ledger.sqlite'));

  const daemon = await ledgerd({ data });
  for (let turns = 0; turns < 100; turns += 1) {
    if ((await daemon.ask('GET', '/health/ready')).body.reason === 'log-newer') break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const newer = { status: 503, body: { reason: 'log-newer', retryable: true } };
  expect(await daemon.ask('GET', '/health/ready')).toMatchObject(newer);
  expect(await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, {})).toMatchObject(newer);
  expect(await daemon.ask('PATCH', `/v1/vms/${vmId}`, { name: 'x' })).toMatchObject(newer);
  expect(await daemon.ask('POST', '/v1/vms', { name: 'y', monitor: '/m/y' })).toMatchObject(newer);
  expect((await daemon.ask('GET', '/health/live')).status).toBe(200);
  expect((await daemon.ask('GET', '/v1/events')).text).toContain('SnapshotPainted');
});

async function appendFromTheFuture(file: string): Promise<void> {
  const store = await openSqliteStore(realWorld(), file);
  const envelope = {
    id: '01900000-0000-7000-8000-000000000001',
    type: 'SnapshotPainted',
    stream: 'vm-01900000-0000-7000-8000-000000000002',
    version: '1',
    recordedAt: '2099-01-01T00:00:00.000Z',
    actor: 'http:future',
    correlationId: '',
    causationId: '',
    commandId: '',
    commandDigest: '',
    schemaVersion: '1',
    data: {},
  };
  await store.append(envelope.stream, 0, [seal(envelope, CHAIN_START.hash)]);
  await store.close();
}

const troubles: readonly (readonly [StoreTroubleKind, number, string])[] = [
  ['full', 507, 'no-space'],
  ['unavailable', 503, 'store-unavailable'],
];

test.each(troubles)('a log that is %s is told, and is not the end', async (kind, status, reason) => {
  const trouble = { isThere: false };
  const world = realWorld(async (point) => {
    if (trouble.isThere && point === 'store.before-commit') throw new StoreTrouble(kind, 'the log says no');
  });
  const daemon = await ledgerd({ world });
  const vmId = await vmOn(daemon);
  trouble.isThere = true;
  const answer = await daemon.ask('PATCH', `/v1/vms/${vmId}`, { labels: { x: 'y' } });
  expect(answer).toMatchObject({ status, body: { reason } });
  trouble.isThere = false;
  expect((await daemon.ask('PATCH', `/v1/vms/${vmId}`, { labels: { x: 'y' } })).status).toBe(200);
});

test('a command leaves one line, a read only when asked for, and no secret ever', async () => {
  const daemon = await ledgerd();
  await daemon.ask('GET', '/v1/vms?name=secret-name', undefined, { authorization: 'Bearer secret-token' });
  const { headers } = await daemon.ask('POST', '/v1/vms', { name: 'secret-vm', monitor: '/m/x' });
  const id = headers.get('x-request-id') ?? '';
  const lines = daemon.logged.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.filter(({ requestId }) => requestId === id)).toMatchObject([
    { level: 30, method: 'POST', route: '/v1/vms', status: 201, msg: 'answered' },
  ]);
  expect(lines.find(({ method }) => method === 'GET')).toMatchObject({ level: 20, route: '/v1/vms' });
  expect(daemon.logged.join('')).not.toContain('secret');
});

import { ANSWERS } from '../../apps/ledgerd/http/answer-schemas.ts';
import { TooManyLooks } from '../../apps/ledgerd/looks.ts';
import { type Finding, Refusal } from '#ledger';
import { expect, test } from 'vitest';
import { ledgerd, snapshotOn, vmOn } from './ledgerd.ts';
import { openMachines } from './machines.ts';

const lost = (snapshotId: string): Finding => ({
  ...{ kind: 'missing', snapshotId, message: 'it is gone', evidence: [] },
});
const wrong: Finding = { kind: 'wrong-chain', device: 'vda', message: 'started from /a', evidence: [] };

/** On both disks of the machines of these tests. */
const foreign = (tag: string, devices = ['vda', 'vdb']): Finding => ({
  ...{ kind: 'foreign', tag, message: `${tag} is nobody's` },
  evidence: devices.map((device) => ({
    ...{ device, file: `/${device}`, tag, nativeId: '1', date: 0, vmClockNs: 0, vmStateSizeBytes: 0 },
  })),
});

test('a look that finds nothing says so, and records nothing', async () => {
  const { ask, ...daemon } = await ledgerd();
  const vmId = await vmOn({ ask, ...daemon });
  const before = (await ask('GET', '/v1/events')).text;
  const { status, body } = await ask('POST', `/v1/vms/${vmId}/reconcile`);
  expect({ status, body }).toEqual({
    status: 200,
    body: { vmId, stopped: false, findings: [], unlisted: 0 },
  });
  expect((await ask('GET', '/v1/events')).text).toBe(before);
});

test('what a look finds is answered, recorded once, and shown on the VM, its snapshot and in its history', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  const id = await snapshotOn(daemon, vmId, 'a');
  machines.found.findings = [lost(id)];
  for (let look = 0; look < 2; look += 1) {
    const { body } = await ask('POST', `/v1/vms/${vmId}/reconcile`);
    expect(body['findings']).toEqual([lost(id)]);
    expect(ANSWERS.Drift.safeParse(body).error?.message).toBeUndefined();
  }
  expect((await ask('GET', `/v1/vms/${vmId}`)).body['conditions']).toEqual([
    { type: 'Drift', reason: 'missing', message: 'it is gone' },
  ]);
  expect((await ask('GET', `/v1/vms/${vmId}/snapshots/${id}`)).body['status']).toBe('lost');
  const { body } = await ask('GET', `/v1/vms/${vmId}/history`);
  const actions = (body['entries'] as { action: string }[]).map(({ action }) => action);
  expect(actions).toEqual(['registered', 'created', 'drift-found']);
});

test('the same key is answered as the first time, and looks no more', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.found.findings = [wrong];
  const key = { 'idempotency-key': 'k' };
  const first = await daemon.ask('POST', `/v1/vms/${vmId}/reconcile`, {}, key);
  daemon.machines.found.findings = [];
  const again = await daemon.ask('POST', `/v1/vms/${vmId}/reconcile`, {}, key);
  expect(again.text).toBe(first.text);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
});

test('a VM that is worked on is busy', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.next.end = 'never';
  await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, { name: 'a' });
  const { status, body } = await daemon.ask('POST', `/v1/vms/${vmId}/adopt`);
  expect({ status, reason: body.reason }).toEqual({ status: 409, reason: 'vm-busy' });
});

test('a machine on a wrong chain is held until a look finds it right', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  Object.assign(machines.found, { findings: [wrong], stopped: true });
  const { body: status } = await ask('GET', `/v1/vms/${vmId}/status`);
  expect(status).not.toHaveProperty('isOnWrongChain');
  const { body: vm } = await ask('GET', `/v1/vms/${vmId}`);
  expect(vm['conditions']).toMatchObject([{ type: 'WrongChain', message: 'started from /a' }]);
  expect(await ask('POST', `/v1/vms/${vmId}/snapshots`)).toMatchObject({
    status: 409,
    body: { reason: 'vm-held' },
  });
  Object.assign(machines.found, { findings: [], stopped: false });
  await ask('POST', `/v1/vms/${vmId}/reconcile`);
  expect((await ask('POST', `/v1/vms/${vmId}/snapshots`)).status).toBe(202);
});

test('a status of a machine on a wrong chain is told beside an operation, and binds no key', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  machines.found.findings = [wrong];
  const key = { 'idempotency-key': 'k' };
  expect((await ask('GET', `/v1/vms/${vmId}/status`, undefined, key)).status).toBe(200);
  machines.found.findings = [];
  expect((await ask('POST', `/v1/vms/${vmId}/reconcile`, {}, key)).body['findings']).toEqual([]);
  machines.next.end = 'never';
  await ask('POST', `/v1/vms/${vmId}/snapshots`, { name: 'a' });
  machines.found.findings = [wrong];
  expect(await ask('GET', `/v1/vms/${vmId}/status`)).toMatchObject({ status: 200, body: { reasons: [] } });
});

test('foreign snapshots are adopted, listed, and not adopted again', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  const half = foreign('half', ['vda']);
  machines.found.findings = [foreign('old'), half];
  const { status, body } = await ask('POST', `/v1/vms/${vmId}/adopt`, {});
  expect(status).toBe(200);
  expect(body['snapshots']).toMatchObject([{ name: 'old', parentId: null, status: 'complete' }]);
  expect(body['left']).toEqual([half]);
  expect(ANSWERS.Adoption.safeParse(body).error?.message).toBeUndefined();
  const { body: list } = await ask('GET', `/v1/vms/${vmId}/snapshots`);
  expect(list['snapshots']).toMatchObject([{ name: 'old', consistency: 'offline' }]);
  machines.found.findings = [half];
  expect((await ask('POST', `/v1/vms/${vmId}/adopt`)).body['snapshots']).toEqual([]);
  expect(await ask('POST', `/v1/vms/${vmId}/adopt`, { names: ['half'] })).toMatchObject({
    status: 409,
    body: { reason: 'snapshot-damaged', devices: ['vdb'] },
  });
  expect((await ask('POST', `/v1/vms/${vmId}/adopt`, { names: ['nobody'] })).status).toBe(404);
  expect((await ask('POST', `/v1/vms/${vmId}/adopt`, { names: 'half' })).status).toBe(400);
});

test('an adoption under the same key is answered as the first time, whatever was found since', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.found.findings = [foreign('old'), foreign('half', ['vda'])];
  const key = { 'idempotency-key': 'k' };
  const first = await daemon.ask('POST', `/v1/vms/${vmId}/adopt`, {}, key);
  daemon.machines.found.findings = [foreign('new')];
  const again = await daemon.ask('POST', `/v1/vms/${vmId}/adopt`, {}, key);
  expect({ status: again.status, text: again.text }).toEqual({ status: 200, text: first.text });
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  const other = await daemon.ask('POST', `/v1/vms/${vmId}/adopt`, { names: ['new'] }, key);
  expect(other.body.reason).toBe('key-reused');
  const stale = await daemon.ask('POST', `/v1/vms/${vmId}/adopt`, {}, { 'if-match': '"1"' });
  expect(stale.body.reason).toBe('stale-version');
});

test('without a worker nobody looks', async () => {
  const daemon = await ledgerd({ roles: 'http' });
  const { status } = await daemon.ask('POST', `/v1/vms/00000000-0000-7000-8000-000000000000/reconcile`);
  expect(status).toBe(404);
});

test('what one answer does not list is counted', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.found.findings = Array.from({ length: 501 }, (_, at) => foreign(`x${at}`, ['vda']));
  const { body } = await daemon.ask('POST', `/v1/vms/${vmId}/reconcile`);
  expect(body).toMatchObject({ unlisted: 1 });
  expect(ANSWERS.Drift.safeParse(body).error?.message).toBeUndefined();
  const { body: vm } = await daemon.ask('GET', `/v1/vms/${vmId}`);
  expect(vm['conditions']).toMatchObject([{ type: 'Drift', message: "x0 is nobody's (and 500 more)" }]);
});

test('a release lifts what a look finds mended, and no wrong chain that a look still finds', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  const id = await snapshotOn(daemon, vmId, 'a');
  const spoiled = { ...wrong, snapshotId: id };
  machines.found.findings = [wrong, spoiled];
  await ask('POST', `/v1/vms/${vmId}/reconcile`);
  const release = () => ask('POST', `/v1/vms/${vmId}/release`, { note: 'I looked' });
  expect(await release()).toMatchObject({ status: 409, body: { reason: 'vm-held' } });
  machines.found.findings = [spoiled];
  const answer = await release();
  expect(answer).toMatchObject({ status: 200, body: { conditions: [] } });
  expect((await ask('GET', `/v1/vms/${vmId}/snapshots/${id}`)).body['status']).toBe('complete');
  expect((await ask('POST', `/v1/vms/${vmId}/snapshots`)).status).toBe(202);
});

test('a release of a machine that cannot be looked at is taken at its word', async () => {
  const machines = openMachines();
  const daemon = await ledgerd({ machines });
  const vmId = await vmOn(daemon);
  machines.found.findings = [wrong];
  await daemon.ask('POST', `/v1/vms/${vmId}/reconcile`);
  machines.found.refusal = new Refusal('host-unreachable', 'nobody answers');
  const key = { 'idempotency-key': 'k' };
  const answer = await daemon.ask('POST', `/v1/vms/${vmId}/release`, { note: 'it is scrap' }, key);
  expect(answer).toMatchObject({ status: 200, body: { conditions: [] } });
  const again = await daemon.ask('POST', `/v1/vms/${vmId}/release`, { note: 'it is scrap' }, key);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect((await daemon.ask('DELETE', `/v1/vms/${vmId}`)).status).toBe(204);
});

test('a release is taken at its word of no machine that could be looked at in a moment', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  machines.found.findings = [wrong];
  await ask('POST', `/v1/vms/${vmId}/reconcile`);
  machines.found.refusal = new TooManyLooks();
  const answer = await ask('POST', `/v1/vms/${vmId}/release`, { note: 'it is scrap' });
  expect(answer).toMatchObject({ status: 503, body: { reason: 'host-unreachable', retryable: true } });
  expect((await ask('GET', `/v1/vms/${vmId}`)).body['conditions']).toHaveLength(1);
});

test('a load that ends well lifts the wrong chain, without another look', async () => {
  const daemon = await ledgerd();
  const { ask, machines } = daemon;
  const vmId = await vmOn(daemon);
  const id = await snapshotOn(daemon, vmId, 'a');
  machines.found.findings = [wrong];
  await ask('POST', `/v1/vms/${vmId}/reconcile`);
  const { body } = await ask('POST', `/v1/vms/${vmId}/snapshots/${id}/load`, {});
  await ask('GET', `/v1/operations/${body.id}?wait=10s`);
  expect((await ask('GET', `/v1/vms/${vmId}`)).body['conditions']).toEqual([]);
});

test('a monitor that another client holds is told for as long as looks find it so', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon, 'web');
  const conditions = async () => (await daemon.ask('GET', `/v1/vms/${vmId}`)).body;
  daemon.machines.found.heldMonitor = '/m/web.sock';
  const held = await conditions();
  expect(held['conditions']).toMatchObject([{ type: 'MonitorHeld', reason: 'occupied' }]);
  expect(ANSWERS.Vm.safeParse(held).error?.message).toBeUndefined();
  const { body: list } = await daemon.ask('GET', '/v1/vms');
  expect(list['vms']).toMatchObject([{ conditions: [{ type: 'MonitorHeld' }] }]);
  daemon.machines.found.heldMonitor = '';
  expect((await conditions())['conditions']).toEqual([]);
});

import { expect, test } from 'vitest';
import { ANSWERS, type AnswerName } from '../../apps/ledgerd/http/answer-schemas.ts';
import { type Answer, type Ledgerd, ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

/** The body is exactly of the shape that the OpenAPI document promises: no member more, none less. */
function expectShape(answer: Answer, name: AnswerName): void {
  const { error } = ANSWERS[name].safeParse(answer.body);
  expect(error?.message, answer.text).toBeUndefined();
  expect(answer.headers.get('snapledger-position')).toMatch(/^\d+$/);
  expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
}

async function operationOf(daemon: Ledgerd, answer: Answer): Promise<Answer> {
  expect(answer.status).toBe(202);
  expect(answer.headers.get('location')).toBe(`/v1/operations/${answer.body.id}`);
  expectShape(answer, 'Operation');
  return daemon.ask('GET', `${answer.headers.get('location')}?wait=10s`);
}

test('a VM has the promised shape from its registration until it is forgotten', async () => {
  const daemon = await ledgerd();
  const id = '0190ABCD-0000-7000-8000-000000000001';
  const registered = await daemon.ask('POST', '/v1/vms', {
    id,
    name: 'web1',
    monitor: '/m/a',
    guestAgent: '/m/agent',
    labels: { tier: 'front' },
    disks: [{ device: 'vdb', default: 'none' }],
  });
  expect(registered.status).toBe(201);
  expectShape(registered, 'Vm');
  expect(registered.body).toEqual({
    id: id.toLowerCase(),
    name: 'web1',
    host: 'test-host',
    monitor: '/m/a',
    guestAgent: '/m/agent',
    labels: { tier: 'front' },
    disks: [
      { device: 'vda', node: '#vda', format: 'qcow2', file: '/m/a.vda.qcow2', default: 'internal' },
      { device: 'vdb', node: '#vdb', format: 'qcow2', file: '/m/a.vdb.qcow2', default: 'none' },
    ],
    current: { snapshotId: null, confidence: 'known' },
    operationId: null,
    conditions: [],
  });
  const path = registered.headers.get('location') ?? '';
  const shown = await daemon.ask('GET', path);
  expect(shown.body).toEqual(registered.body);
  expectShape(await daemon.ask('GET', '/v1/vms'), 'Vms');
  expectShape(await daemon.ask('GET', `${path}/status`), 'Status');
  const changed = await daemon.ask('PATCH', path, {
    name: 'web2',
    labels: {},
    guestAgent: null,
    disks: [{ device: 'vdb', default: 'internal' }],
  });
  expectShape(changed, 'Vm');
  expect(changed.body).toMatchObject({ name: 'web2', labels: {}, guestAgent: null });
  expect((await daemon.ask('GET', '/v1/vms?name=web2')).body['totalSize']).toBe(1);
  expect((await daemon.ask('GET', '/v1/vms?name=web1')).body['vms']).toEqual([]);
  const forgotten = await daemon.ask('DELETE', path);
  expect([forgotten.status, forgotten.text]).toEqual([204, '']);
  expect((await daemon.ask('GET', path)).body.reason).toBe('vm-unknown');
  expect((await daemon.ask('GET', `${path}/events`)).text).toContain('VmForgotten');
  expect((await daemon.ask('POST', '/v1/vms', { id, name: 'x', monitor: '/m/x' })).body.reason).toBe(
    'id-used',
  );
  expect((await daemon.ask('POST', '/v1/vms', { name: 'web2', monitor: '/m/a' })).status).toBe(201);
});

test('a snapshot has the promised shape from the request to long after its end', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/snapshots`;
  const id = '01900000-0000-7000-8000-00000000000a';
  const created = await daemon.ask('POST', at, {
    id,
    name: 'a',
    description: 'd',
    labels: { x: 'y' },
    diskOnly: true,
  });
  expect(created.body).toMatchObject({ kind: 'create', vmId, snapshotId: id, done: false, outcome: null });
  const ended = await operationOf(daemon, created);
  expectShape(ended, 'Operation');
  expect(ended.body).toMatchObject({ done: true, outcome: 'succeeded', percent: 100 });
  const shown = await daemon.ask('GET', `${at}/${id}`);
  expectShape(shown, 'Snapshot');
  expect(shown.body).toMatchObject({ name: 'a', status: 'complete', current: true, labels: { x: 'y' } });
  for (const [path, name] of [
    [at, 'Snapshots'],
    [`/v1/vms/${vmId}/lineage`, 'Lineage'],
    [`${at}/${id}/ancestors`, 'Ancestors'],
    [`/v1/vms/${vmId}/history`, 'History'],
    ['/v1/operations', 'Operations'],
  ] as const) {
    expectShape(await daemon.ask('GET', path), name);
  }
  const patched = await daemon.ask('PATCH', `${at}/${id}`, { name: 'b', description: '', protected: true });
  expectShape(patched, 'Snapshot');
  expect(patched.body).toMatchObject({ name: 'b', description: '', protected: true });
  await daemon.ask('PATCH', `${at}/${id}`, { protected: false });
  const gone = await operationOf(daemon, await daemon.ask('DELETE', `${at}/${id}?strategy=discard`));
  expect(gone.body).toMatchObject({ kind: 'delete', done: true, outcome: 'succeeded' });
  expectShape(await daemon.ask('GET', `${at}/${id}`), 'Snapshot');
  expect((await daemon.ask('GET', `${at}/${id}`)).body['status']).toBe('deleted');
});

test('a retirement is accepted and already done', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const path = `/v1/vms/${vmId}/snapshots/${await snapshotOn(daemon, vmId, 'a')}`;
  const retired = await daemon.ask('DELETE', path);
  expect(retired.body).toMatchObject({ kind: 'retire', done: true, outcome: 'succeeded' });
  expect((await operationOf(daemon, retired)).body).toEqual(retired.body);
  expect((await daemon.ask('GET', `/v1/vms/${vmId}/snapshots`)).body['totalSize']).toBe(0);
  expect((await daemon.ask('GET', `/v1/vms/${vmId}/snapshots?status=retired`)).body['totalSize']).toBe(1);
  const again = await daemon.ask('DELETE', path);
  expect(again).toMatchObject({ status: 202, body: { kind: 'retire', done: true } });
  expect(again.headers.get('location')).toBeNull();
  const back = await daemon.ask('POST', `${path}/unretire`);
  expect(back.body).toMatchObject({ kind: 'unretire', done: true, outcome: 'succeeded' });
});

test('a failed operation says why, and a held VM how it is let go', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.next.end = 'held';
  const failed = await operationOf(daemon, await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, {}));
  expectShape(failed, 'Operation');
  expect(failed.body).toMatchObject({
    done: true,
    outcome: 'needs-operator',
    error: { reason: 'refused-by-qemu', message: 'QEMU said no', retryable: false },
    leftovers: [{ device: 'vda' }],
  });
  const held = await daemon.ask('GET', `/v1/vms/${vmId}`);
  expectShape(held, 'Vm');
  expect(held.body['conditions']).toMatchObject([{ type: 'Held' }]);
  expect((await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, {})).body).toMatchObject({
    reason: 'vm-held',
    operationId: failed.body.id,
  });
  const released = await daemon.ask('POST', `/v1/vms/${vmId}/release`, { note: 'looked\nat' });
  expectShape(released, 'Vm');
  expect(released.body['conditions']).toEqual([]);
});

test('an operation is waited for, refused a second one beside it, and can be called off before it starts', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.next.end = 'never';
  const created = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, { name: 'a' });
  const waited = await daemon.ask('GET', `/v1/operations/${created.body.id}?wait=10ms`);
  expect(waited.body).toMatchObject({ done: false, outcome: null });
  expect((await daemon.ask('GET', `/v1/vms/${vmId}`)).body['operationId']).toBe(created.body.id);
  const busy = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, { name: 'b' });
  expect(busy).toMatchObject({
    status: 409,
    body: { reason: 'vm-busy', retryable: true, operationId: created.body.id },
  });
  const waiting = daemon.ask('GET', `/v1/operations/${created.body.id}?wait=30s`);
  const canceled = await daemon.ask('POST', `/v1/operations/${created.body.id}/cancel`);
  expect(canceled.status).toBe(200);
  expectShape(canceled, 'Operation');
  expect(canceled.body).toMatchObject({ done: true, outcome: 'failed', error: { reason: 'canceled' } });
  expect((await waiting).body).toEqual(canceled.body);
  const again = await daemon.ask('POST', `/v1/operations/${created.body.id}/cancel`);
  expect(again).toMatchObject({ status: 409, body: { reason: 'not-cancelable' } });
});

test('the OpenAPI document is whole: every reference leads somewhere, every id of a path is named', async () => {
  const { ask } = await ledgerd();
  const { text, body } = await ask('GET', '/docs/openapi.json');
  const { schemas } = body['components'] as { schemas: object };
  for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]*)"/g))
    expect(Object.keys(schemas)).toContain(name);
  for (const [path, methods] of Object.entries(body['paths'] as Record<string, object>)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { parameters } of Object.values(methods) as { parameters: { in: string; name: string }[] }[])
      expect(parameters.filter((each) => each.in === 'path').map(({ name }) => name)).toEqual(inPath);
  }
});

test('the OpenAPI document names the fields of every body', async () => {
  const { ask } = await ledgerd();
  const { components } = (await ask('GET', '/docs/openapi.json')).body as {
    components: { schemas: Record<string, { properties: object; required?: string[] }> };
  };
  const fields = (name: string): string[] => Object.keys(components.schemas[name]?.properties ?? {});
  expect(fields('RegisterVmBody')).toEqual(
    expect.arrayContaining(['id', 'name', 'monitor', 'guestAgent', 'host', 'labels', 'disks', 'domainXml']),
  );
  expect(components.schemas['RegisterVmBody']?.required?.toSorted()).toEqual(['monitor', 'name']);
  expect(fields('Operation')).toContain('leftovers');
  expect((await ask('GET', '/docs')).text).toContain('swagger');
});

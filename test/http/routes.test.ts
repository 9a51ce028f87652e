import { describe, expect, test } from 'vitest';
import { type Ledgerd, ledgerd, NOBODY, snapshotOn, vmOn } from './ledgerd.ts';

/** A body that the route would take, if it were not for what a test adds to it; null: the route takes none. */
type Taken = object | null;

/** Every route there is. A new one that is not in here fails the first test. */
const ROUTES: Readonly<Record<string, Taken>> = {
  'POST /v1/vms': { name: 'web2', monitor: '/m/web2.sock' },
  'GET /v1/vms': null,
  'GET /v1/vms/{vm}': null,
  'PATCH /v1/vms/{vm}': {},
  'DELETE /v1/vms/{vm}': {},
  'GET /v1/vms/{vm}/status': null,
  'GET /v1/vms/{vm}/history': null,
  'POST /v1/vms/{vm}/release': { note: 'looked at' },
  'POST /v1/vms/{vm}/reconcile': {},
  'POST /v1/vms/{vm}/repair': { planHash: 'x' },
  'POST /v1/vms/{vm}/adopt': {},
  'POST /v1/vms/{vm}/snapshots': {},
  'GET /v1/vms/{vm}/snapshots': null,
  'DELETE /v1/vms/{vm}/snapshots': {},
  'GET /v1/vms/{vm}/snapshots/{id}': null,
  'PATCH /v1/vms/{vm}/snapshots/{id}': {},
  'DELETE /v1/vms/{vm}/snapshots/{id}': {},
  'POST /v1/vms/{vm}/snapshots/{id}/load': {},
  'POST /v1/vms/{vm}/snapshots/{id}/unretire': {},
  'GET /v1/vms/{vm}/snapshots/{id}/ancestors': null,
  'GET /v1/vms/{vm}/lineage': null,
  'GET /v1/vms/{vm}/events': null,
  'GET /v1/operations': null,
  'GET /v1/operations/{id}': null,
  'POST /v1/operations/{id}/cancel': {},
  'GET /v1/events': null,
  'GET /v1/watch': null,
  'GET /health/live': null,
  'GET /health/ready': null,
  'GET /metrics': null,
};

const commands = Object.entries(ROUTES).flatMap(([route, body]) => (body ? [[route, body] as const] : []));

const split = (route: string): [string, string] => {
  const [method = '', path = ''] = route.split(' ');
  return [method, path];
};

/** The route's path on a VM and a snapshot (or an operation) that exist. */
async function pathOn(daemon: Ledgerd, route: string): Promise<string> {
  const vmId = await vmOn(daemon);
  const snapshotId = await snapshotOn(daemon, vmId, 'a');
  const { body } = await daemon.ask('GET', '/v1/operations');
  const [operation] = body['operations'] as { id: string }[];
  const id = route.includes('/operations/') ? (operation?.id ?? '') : snapshotId;
  return split(route)[1].replace('{vm}', vmId).replace('{id}', id);
}

test('every route stands in the table of this file, and in the OpenAPI document', async () => {
  const { ask } = await ledgerd();
  const { body } = await ask('GET', '/docs/openapi.json');
  const documented = Object.entries(body['paths'] as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(documented.toSorted()).toEqual(Object.keys(ROUTES).toSorted());
});

describe('a member that nobody knows is refused and changes nothing:', () => {
  test.each(commands)('%s', async (route, body) => {
    const daemon = await ledgerd();
    const path = await pathOn(daemon, route);
    const before = await daemon.ask('GET', '/v1/events');
    const answer = await daemon.ask(split(route)[0], path, { ...body, surprise: 1 });
    expect(answer).toMatchObject({ status: 400, body: { reason: 'invalid-body' } });
    expect(answer.body.detail).toContain('surprise');
    expect((await daemon.ask('GET', '/v1/events')).text).toBe(before.text);
  });
});

describe('a parameter that nobody knows, or that is repeated, is refused and changes nothing:', () => {
  test.each(Object.entries(ROUTES))('%s', async (route, body) => {
    const daemon = await ledgerd();
    const path = await pathOn(daemon, route);
    const before = await daemon.ask('GET', '/v1/events');
    for (const query of [
      'surprise=1',
      'x=1&x=2',
      '__proto__=1',
      'constructor=1',
      'label.x=1&label.x=2',
      '=',
    ]) {
      const answer = await daemon.ask(split(route)[0], `${path}?${query}`, body ?? undefined);
      expect(answer, query).toMatchObject({ status: 400, body: { reason: 'invalid-query' } });
    }
    expect((await daemon.ask('GET', '/v1/events')).text).toBe(before.text);
  });
});

describe('a body of the wrong kind is refused:', () => {
  test.each(commands)('%s', async (route) => {
    const daemon = await ledgerd();
    const path = await pathOn(daemon, route);
    const [method] = split(route);
    for (const body of [
      '{',
      '[]',
      'null',
      '"x"',
      '{"a":1',
      '{"__proto__":{}}',
      '{"constructor":1}',
      '\ud800',
    ]) {
      expect(await daemon.ask(method, path, body), body).toMatchObject({
        status: 400,
        body: { reason: 'invalid-body' },
      });
    }
    const text = await daemon.ask(method, path, 'x', { 'content-type': 'text/plain' });
    expect(text).toMatchObject({ status: 415, body: { reason: 'media-type' } });
    const large = await daemon.ask(method, path, { name: 'x'.repeat(1024 * 1024) });
    expect(large).toMatchObject({ status: 413, body: { reason: 'too-large' } });
  });
});

const unknown = (route: string): string =>
  route.includes('/operations/') ? 'operation-unknown' : 'vm-unknown';

describe('what does not exist is told by its kind:', () => {
  const withIds = Object.entries(ROUTES).filter(([route]) => route.includes('{'));
  test.each(withIds)('%s', async (route, body) => {
    const { ask } = await ledgerd();
    const [method, path] = split(route);
    for (const id of [NOBODY, 'web1', '__proto__', '..%2f..', '%00']) {
      const answer = await ask(method, path.replaceAll(/\{\w+\}/g, id), body ?? undefined);
      expect(answer, id).toMatchObject({ status: 404, body: { reason: unknown(route) } });
    }
  });
});

test('a path or a method that does not exist is a problem like any other', async () => {
  const { ask } = await ledgerd();
  for (const path of [
    '/',
    '/v1',
    '/v1/',
    '/v1/vms/',
    '/v2/vms',
    '/v1/vms/%zz',
    '/V1/vms',
    `/v1/vms/${'x'.repeat(3000)}`,
  ]) {
    const answer = await ask('GET', path);
    expect(answer, path).toMatchObject({ status: 404, body: { reason: 'route-unknown', retryable: false } });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  }
  const put = await ask('PUT', '/v1/vms');
  expect(put).toMatchObject({ status: 405, body: { reason: 'method-not-allowed' } });
  expect(put.headers.get('allow')).toBe('GET, HEAD, POST');
  const remove = await ask('DELETE', '/v1/events');
  expect(remove.headers.get('allow')).toBe('GET, HEAD');
});

import { expect, test } from 'vitest';
import { type Answer, directory, type Ledgerd, ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

const key = (text: string) => ({ 'idempotency-key': text });

/** The same status and the same body again, and nothing more in the log. */
async function expectReplay(daemon: Ledgerd, first: Answer, again: () => Promise<Answer>): Promise<void> {
  const before = await daemon.ask('GET', '/v1/events');
  const second = await again();
  expect(second.status).toBe(first.status);
  expect(second.body).toEqual(first.body);
  expect(first.headers.get('idempotency-replayed')).toBeNull();
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  for (const header of ['etag', 'location'])
    expect(second.headers.get(header)).toBe(first.headers.get(header));
  expect((await daemon.ask('GET', '/v1/events')).text).toBe(before.text);
}

test('a registration that is sent again is answered again, even when the machine has gone', async () => {
  const daemon = await ledgerd();
  const register = () => daemon.ask('POST', '/v1/vms', { name: 'web1', monitor: '/m/a' }, key('k'));
  const first = await register();
  expect(first.status).toBe(201);
  await daemon.ask('PATCH', `/v1/vms/${first.body.id}`, { name: 'renamed' });
  daemon.machines.discover = () => Promise.reject(new Error('the machine has gone'));
  await expectReplay(daemon, first, register);
  expect(daemon.machines.looks.count).toBe(1);
});

test('every command on a VM is answered again as the first time, however much has happened since', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const a = await snapshotOn(daemon, vmId, 'a');
  const at = `/v1/vms/${vmId}`;
  const commands: readonly (() => Promise<Answer>)[] = [
    () => daemon.ask('POST', `${at}/snapshots`, { name: 'b', labels: { x: 'y' } }, key('create')),
    () => daemon.ask('PATCH', `${at}/snapshots/${a}`, { name: 'first', protected: true }, key('patch')),
    () => daemon.ask('PATCH', at, { labels: { one: '1' } }, key('change')),
    () => daemon.ask('POST', `${at}/snapshots/${a}/load`, undefined, key('load')),
    () => daemon.ask('PATCH', `${at}/snapshots/${a}`, { protected: false }, key('unprotect')),
    () => daemon.ask('DELETE', `${at}/snapshots/${a}`, undefined, key('retire')),
    () => daemon.ask('POST', `${at}/snapshots/${a}/unretire`, undefined, key('unretire')),
    () => daemon.ask('DELETE', `${at}/snapshots/${a}?strategy=merge`, undefined, key('merge')),
    () => daemon.ask('DELETE', `${at}/snapshots`, undefined, key('all')),
  ];
  const firsts: Answer[] = [];
  for (const command of commands) {
    const first = await command();
    expect([200, 202], first.text).toContain(first.status);
    firsts.push(first);
    if (first.body['kind'] !== undefined) await daemon.ask('GET', `/v1/operations/${first.body.id}?wait=10s`);
  }
  for (const [index, first] of firsts.entries()) {
    const command = commands[index];
    if (command) await expectReplay(daemon, first, command);
  }
  const forget = () => daemon.ask('DELETE', at, undefined, key('forget'));
  await expectReplay(daemon, await forget(), forget);
});

test('a key holds across a restart', async () => {
  const data = directory();
  const one = await ledgerd({ data });
  const vmId = await vmOn(one);
  const body = { name: 'a' };
  const first = await one.ask('POST', `/v1/vms/${vmId}/snapshots`, body, key('k'));
  await one.ask('GET', `/v1/operations/${first.body.id}?wait=10s`);
  await one.stop();
  const two = await ledgerd({ data });
  await expectReplay(two, first, () => two.ask('POST', `/v1/vms/${vmId}/snapshots`, body, key('k')));
});

test('the order of members does not make another request, another value does', async () => {
  const daemon = await ledgerd();
  const at = `/v1/vms/${await vmOn(daemon)}/snapshots`;
  const first = await daemon.ask('POST', at, '{"name":"a","description":"d"}', key('k'));
  await daemon.ask('GET', `/v1/operations/${first.body.id}?wait=10s`);
  await expectReplay(daemon, first, () => daemon.ask('POST', at, '{"description":"d","name":"a"}', key('k')));
  const other = await daemon.ask('POST', at, { name: 'a', description: 'e' }, key('k'));
  expect(other).toMatchObject({ status: 422, body: { reason: 'key-reused', retryable: false } });
  const elsewhere = await daemon.ask('DELETE', at, undefined, key('k'));
  expect(elsewhere).toMatchObject({ status: 422, body: { reason: 'key-reused' } });
});

test('a key is looked at before If-Match, and a refusal binds none', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/snapshots`;
  const conditions = { ...key('k'), 'if-match': '"1"' };
  const first = await daemon.ask('POST', at, { name: 'a' }, conditions);
  await daemon.ask('GET', `/v1/operations/${first.body.id}?wait=10s`);
  await expectReplay(daemon, first, () => daemon.ask('POST', at, { name: 'a' }, conditions));

  expect((await daemon.ask('POST', at, { name: 'a' }, key('free'))).body.reason).toBe('name-taken');
  expect((await daemon.ask('POST', at, { name: 'b' }, key('free'))).status).toBe(202);
});

test('what changes nothing records nothing, and so binds no key', async () => {
  const daemon = await ledgerd();
  const at = `/v1/vms/${await vmOn(daemon)}/snapshots`;
  const created = await daemon.ask('POST', at, { name: 'a' });
  await daemon.ask('GET', `/v1/operations/${created.body.id}?wait=10s`);
  const path = `${at}/${created.body['snapshotId']}`;
  const { headers } = await daemon.ask('GET', path);
  const same = await daemon.ask('PATCH', path, { name: 'a' }, key('k'));
  expect([same.status, same.headers.get('etag')]).toEqual([200, headers.get('etag')]);
  const other = await daemon.ask('PATCH', path, { name: 'b' }, key('k'));
  expect(other).toMatchObject({ status: 200, body: { name: 'b' } });
  expect(other.headers.has('idempotency-replayed')).toBe(false);
});

test('a key is 1 to 255 printable ASCII characters', async () => {
  const daemon = await ledgerd();
  const at = `/v1/vms/${await vmOn(daemon)}`;
  for (const text of ['', 'x'.repeat(256), 'a\tb']) {
    const answer = await daemon.ask('PATCH', at, {}, key(text));
    expect(answer, text).toMatchObject({ status: 400, body: { reason: 'invalid-body' } });
  }
  expect((await daemon.ask('PATCH', at, {}, key(' ~'))).status).toBe(200);
});

test('two that race with one key are one', async () => {
  const daemon = await ledgerd();
  const at = `/v1/vms/${await vmOn(daemon)}/snapshots`;
  const answers = await Promise.all([1, 2, 3, 4].map(() => daemon.ask('POST', at, { name: 'a' }, key('k'))));
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.has('idempotency-replayed'))).toHaveLength(3);
});

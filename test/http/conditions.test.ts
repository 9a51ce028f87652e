import { expect, test } from 'vitest';
import { realWorld } from '#world';
import { ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

test('the ETag of a VM, of its snapshots and of every command is the version of its stream', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const a = await snapshotOn(daemon, vmId, 'a');
  const etag = async (path: string): Promise<string | null> =>
    (await daemon.ask('GET', path)).headers.get('etag');
  const before = await etag(`/v1/vms/${vmId}`);
  expect(before).toMatch(/^"\d+"$/);
  expect(await etag(`/v1/vms/${vmId}/snapshots/${a}`)).toBe(before);
  const renamed = await daemon.ask(
    'PATCH',
    `/v1/vms/${vmId}/snapshots/${a}`,
    { name: 'b' },
    { 'if-match': before ?? '' },
  );
  expect(renamed.status).toBe(200);
  expect(renamed.headers.get('etag')).toBe(`"${Number(before?.slice(1, -1)) + 1}"`);
  expect(await etag(`/v1/vms/${vmId}`)).toBe(renamed.headers.get('etag'));
});

test('whoever decided on an older version is told so, and nothing happens', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const a = await snapshotOn(daemon, vmId, 'a');
  const at = `/v1/vms/${vmId}`;
  const stale = { 'if-match': '"1"' };
  const before = await daemon.ask('GET', '/v1/events');
  const asked: readonly (readonly [string, string, object?])[] = [
    ['PATCH', at, { name: 'x' }],
    ['DELETE', at],
    ['POST', `${at}/snapshots`, {}],
    ['DELETE', `${at}/snapshots`],
    ['PATCH', `${at}/snapshots/${a}`, { name: 'x' }],
    ['DELETE', `${at}/snapshots/${a}`],
    ['POST', `${at}/snapshots/${a}/load`],
    ['POST', `${at}/snapshots/${a}/unretire`],
    ['POST', `${at}/release`, { note: 'x' }],
  ];
  for (const [method, path, body] of asked) {
    const answer = await daemon.ask(method, path, body, stale);
    expect(answer, `${method} ${path}`).toMatchObject({ status: 412, body: { reason: 'stale-version' } });
  }
  expect((await daemon.ask('GET', '/v1/events')).text).toBe(before.text);
});

test('If-Match is one strong ETag or a star', async () => {
  const daemon = await ledgerd();
  const at = `/v1/vms/${await vmOn(daemon)}`;
  const change = (ifMatch: string) => daemon.ask('PATCH', at, {}, { 'if-match': ifMatch });
  expect((await change('*')).status).toBe(200);
  expect((await change('"1"')).status).toBe(200);
  expect((await change('"nonsense"')).body.reason).toBe('stale-version');
  for (const text of ['1', 'W/"1"', '"1", "2"'])
    expect((await change(text)).body.reason, text).toBe('invalid-body');
});

test('what was acknowledged is seen by the next reader, also under another id', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const a = await snapshotOn(daemon, vmId, 'a');
  for (let round = 0; round < 50; round += 1) {
    const name = `name-${round}`;
    const renamed = await daemon.ask('PATCH', `/v1/vms/${vmId}/snapshots/${a}`, { name });
    expect(renamed.body['name']).toBe(name);
    const found = await daemon.ask('GET', `/v1/vms/${vmId}/snapshots?name=${name}`);
    expect(found.body['totalSize']).toBe(1);
    expect(found.headers.get('snapledger-position')).toBe(renamed.headers.get('snapledger-position'));
  }
});

test('a reader that has seen more than we can show is told to come back', async () => {
  const real = realWorld();
  const naps: number[] = [];
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    naps.push(ms);
    return ms === 1_000 ? Promise.resolve() : real.clock.sleep(ms, signal); // A second is soon over.
  };
  const daemon = await ledgerd({ world: { ...real, clock: { ...real.clock, sleep } } });
  await vmOn(daemon);
  const behind = await daemon.ask('GET', '/v1/vms', undefined, { 'snapledger-min-position': '999999' });
  expect(behind).toMatchObject({ status: 503, body: { reason: 'view-behind', retryable: true } });
  expect(behind.headers.get('retry-after')).toBe('1');
  expect(naps).toContain(1_000);
  const nonsense = await daemon.ask('GET', '/v1/vms', undefined, { 'snapledger-min-position': 'x' });
  expect(nonsense).toMatchObject({ status: 400, body: { reason: 'invalid-query' } });
  const seen = (await daemon.ask('GET', '/v1/vms')).headers.get('snapledger-position') ?? '';
  expect((await daemon.ask('GET', '/v1/vms', undefined, { 'snapledger-min-position': seen })).status).toBe(
    200,
  );
});

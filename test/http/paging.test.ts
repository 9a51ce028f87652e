import { expect, test } from 'vitest';
import { type Ledgerd, ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

async function allPages(daemon: Ledgerd, path: string, member: string): Promise<unknown[]> {
  const found: unknown[] = [];
  let token = '';
  do {
    const answer = await daemon.ask('GET', `${path}${path.includes('?') ? '&' : '?'}pageSize=2${token}`);
    expect(answer.status, answer.text).toBe(200);
    const page = answer.body[member] as unknown[];
    expect(page.length).toBeLessThanOrEqual(2);
    found.push(...page);
    const next = answer.body['nextPageToken'];
    token = next === undefined ? '' : `&pageToken=${encodeURIComponent(String(next))}`;
  } while (token !== '');
  return found;
}

test('the pages of every list, one after the other, are the list', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  for (const name of ['web2', 'web3', 'web4', 'web5']) await vmOn(daemon, name);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await snapshotOn(daemon, vmId, name);
  const e = (await daemon.ask('GET', `/v1/vms/${vmId}/snapshots?name=e`)).body['snapshots'] as {
    id: string;
  }[];
  const lists: readonly (readonly [string, string, number])[] = [
    ['/v1/vms', 'vms', 5],
    [`/v1/vms/${vmId}/snapshots`, 'snapshots', 5],
    [`/v1/vms/${vmId}/lineage`, 'nodes', 5],
    [`/v1/vms/${vmId}/snapshots/${e[0]?.id}/ancestors`, 'snapshots', 4],
    [`/v1/vms/${vmId}/history`, 'entries', 6],
    ['/v1/operations', 'operations', 5],
    [`/v1/operations?vmId=${vmId}&done=true`, 'operations', 5],
    ['/v1/operations?done=false', 'operations', 0],
    [`/v1/vms/${vmId}/snapshots?status=complete,retired`, 'snapshots', 5],
  ];
  for (const [path, member, count] of lists) {
    const whole = await daemon.ask('GET', path);
    expect(whole.body[member], path).toHaveLength(count);
    expect(whole.body['nextPageToken']).toBeUndefined();
    expect(await allPages(daemon, path, member), path).toEqual(whole.body[member]);
  }
});

test('a page that cannot be is refused; one that is too large is cut', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  await vmOn(daemon, 'web2');
  for (const query of [
    'pageSize=0',
    'pageSize=-1',
    'pageSize=x',
    'pageSize=1.5',
    'pageSize=',
    'pageToken=',
    'pageToken=x',
  ]) {
    const answer = await daemon.ask('GET', `/v1/vms?${query}`);
    expect(answer, query).toMatchObject({ status: 400, body: { reason: 'invalid-query' } });
  }
  expect((await daemon.ask('GET', '/v1/vms?pageSize=5000')).status).toBe(200);
  const { nextPageToken } = (await daemon.ask('GET', '/v1/vms?pageSize=1')).body;
  const token = encodeURIComponent(String(nextPageToken));
  for (const path of [
    `/v1/vms?name=web2&pageToken=${token}`,
    `/v1/vms/${vmId}/snapshots?pageToken=${token}`,
  ]) {
    expect(await daemon.ask('GET', path), path).toMatchObject({
      status: 400,
      body: { reason: 'invalid-query' },
    });
  }
});

test('lists are filtered by status, label and time', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/snapshots`;
  const before = new Date().toISOString();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const labelled = await daemon.ask('POST', at, {
    name: 'a',
    labels: { colour: 'blue', constructor: 'y' },
  });
  await daemon.ask('GET', `/v1/operations/${labelled.body.id}?wait=10s`);
  await snapshotOn(daemon, vmId, 'b');
  const names = async (query: string): Promise<unknown[]> => {
    const answer = await daemon.ask('GET', `${at}?${query}`);
    expect(answer.status, answer.text).toBe(200);
    return (answer.body['snapshots'] as { name: string }[]).map(({ name }) => name);
  };
  expect(await names('label.colour=blue')).toEqual(['a']);
  expect(await names('label.constructor=y')).toEqual(['a']);
  expect(await names('label.colour=red')).toEqual([]);
  expect(await names('status=complete')).toEqual(['a', 'b']);
  expect(await names('status=deleted,failed')).toEqual([]);
  expect(await names(`asOf=${before}`)).toEqual([]);
  expect(await names('implicit=true')).toEqual(['a', 'b']);
  for (const query of ['status=done', 'status=', 'asOf=yesterday', 'asOf=', 'implicit=1', 'label=x']) {
    expect((await daemon.ask('GET', `${at}?${query}`)).body.reason, query).toBe('invalid-query');
  }
  const lineage = `/v1/vms/${vmId}/lineage`;
  for (const query of ['depth=-1', 'depth=x', 'root=a', 'asOf=1']) {
    expect((await daemon.ask('GET', `${lineage}?${query}`)).body.reason, query).toBe('invalid-query');
  }
  expect((await daemon.ask('GET', `${lineage}?depth=0`)).body['nodes']).toHaveLength(1);
});

import { expect, test } from 'vitest';
import { type Ledgerd, ledgerd, snapshotOn, vmOn } from './ledgerd.ts';

type Body = Record<string, unknown>;

/** What was recorded of a VM last, by its type. */
async function lastOf({ ask }: Ledgerd, vmId: string, type: string): Promise<Body> {
  const { text } = await ask('GET', `/v1/vms/${vmId}/events`);
  const events = text.split('\n').filter((line) => line.includes(`"${type}"`));
  return (JSON.parse(events.at(-1) ?? '{}') as { data: Body }).data;
}

const ended = async ({ ask }: Ledgerd, accepted: { body: Body; text: string }): Promise<Body> => {
  expect(accepted.body['id'], accepted.text).toBeTypeOf('string');
  return (await ask('GET', `/v1/operations/${String(accepted.body['id'])}?wait=10s`)).body;
};

test('what is to be captured outside, and where, is asked for in the words of the contract', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const vda = { device: 'vda', snapshot: 'external', file: '/m/new.vda', format: 'qed', mode: 'existing' };
  const body = { disks: [vda], memory: 'external', memoryFile: '/m/new.memory', memoryFormat: 'state' };
  const accepted = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, body);
  expect(await ended(daemon, accepted)).toMatchObject({ outcome: 'succeeded' });
  expect(await lastOf(daemon, vmId, 'SnapshotRequested')).toMatchObject({
    ...{ memory: 'external', memoryFile: '/m/new.memory', memoryFormat: 'state' },
    disks: [
      { device: 'vda', mode: 'external', file: '/m/new.vda', format: 'qed', fileMode: 'existing' },
      { device: 'vdb', mode: 'internal' },
    ],
  });
  const vm = await daemon.ask('GET', `/v1/vms/${vmId}`);
  expect(vm.body['disks']).toMatchObject([
    { device: 'vda', file: '/m/new.vda', format: 'qed' },
    { device: 'vdb' },
  ]);
  const snapshot = await daemon.ask(
    'GET',
    `/v1/vms/${vmId}/snapshots/${String(accepted.body['snapshotId'])}`,
  );
  expect(snapshot.body).toMatchObject({
    memory: { mode: 'external', file: '/m/new.memory', sizeBytes: 1 },
    disks: [
      { device: 'vda', mode: 'external' },
      { device: 'vdb', mode: 'internal' },
    ],
  });
  expect(snapshot.body['disks']).not.toMatchObject([{ file: '/m/new.vda' }, {}]);
});

test('the chain under a disk is bounded by the configuration', async () => {
  const daemon = await ledgerd({ args: ['--chain-max', '2'] });
  const vmId = await vmOn(daemon);
  const body = { disks: [{ device: 'vda', snapshot: 'external' }], diskOnly: true };
  await ended(daemon, await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, body));
  const refused = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, body);
  expect(refused).toMatchObject({ status: 409, body: { reason: 'too-many-snapshots' } });
  expect(refused.body.detail).toContain('merge some');
});

test.each([
  [{}, 'disks'],
  [{ safety: 'disks' }, 'disks'],
  [{ safety: 'memory' }, 'memory'],
  [{ safety: 'none' }, undefined],
])('a load that says %j saves of the present: %s', async (body, what) => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const id = await snapshotOn(daemon, vmId, 'a');
  await ended(daemon, await daemon.ask('POST', `/v1/vms/${vmId}/snapshots/${id}/load`, body));
  const asked = await lastOf(daemon, vmId, 'LoadRequested');
  expect((asked['pin'] as Body | undefined)?.['what']).toBe(what);
});

test('a load that is asked for again with its key is the same load, with the same pin', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const id = await snapshotOn(daemon, vmId, 'a');
  const key = { 'idempotency-key': 'k' };
  const first = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots/${id}/load`, {}, key);
  await ended(daemon, first);
  const again = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots/${id}/load`, {}, key);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(again.body).toEqual(first.body);
});

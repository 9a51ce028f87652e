/* Is what nobody explains removed only once somebody has accepted the plan, and told truthfully? */
import type { Finding } from '#ledger';
import { expect, test } from 'vitest';
import { ANSWERS } from '../../apps/ledgerd/http/answer-schemas.ts';
import { type Answer, ledgerd, vmOn } from './ledgerd.ts';

const orphan = (file: string): Finding => ({
  ...{ kind: 'orphan', file, message: `${file} is explained by nobody`, evidence: [] },
});

interface Repair {
  readonly plan: { readonly hash: string; readonly commands: readonly string[] };
  readonly removed: readonly object[];
  readonly left: readonly object[];
}

function repairIn(answer: Answer): Repair {
  expect(answer.status, answer.text).toBe(200);
  expect(ANSWERS.Repair.safeParse(answer.body).error?.message, answer.text).toBeUndefined();
  return answer.body as unknown as Repair;
}

async function stage() {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/repair`;
  daemon.machines.found.findings = [orphan('/m/sl-a'), orphan('/m/sl-b')];
  const planned = async () => repairIn(await daemon.ask('POST', `${at}?validateOnly=true`)).plan;
  return { ...daemon, vmId, at, planned };
}

test('a plan says what would go, and nothing goes', async () => {
  const { machines, planned } = await stage();
  expect(await planned()).toMatchObject({
    commands: ['unlink /m/sl-a', 'unlink /m/sl-b'],
    filesUnlinked: ['/m/sl-a', '/m/sl-b'],
  });
  expect(machines.found.findings).toHaveLength(2);
});

test('what is accepted stands in the log, is removed, and what is left is told with the reason', async () => {
  const { ask, machines, planned, at, vmId } = await stage();
  const { hash } = await planned();
  machines.found.stuck = ['/m/sl-b'];
  const key = { 'idempotency-key': 'k' };
  const done = repairIn(await ask('POST', at, { planHash: hash }, key));
  expect(done).toMatchObject({
    removed: [{ file: '/m/sl-a' }],
    left: [{ file: '/m/sl-b', why: 'it is stuck' }],
    plan: { commands: ['unlink /m/sl-b'] },
  });
  expect((await ask('GET', `/v1/vms/${vmId}/events`)).text).toContain('"RepairStarted"');
  const again = await ask('POST', at, { planHash: hash }, key);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(repairIn(again)).toMatchObject({ removed: [{ file: '/m/sl-a' }], left: [{ file: '/m/sl-b' }] });
});

test('nothing is removed without a plan, nor by one that is not true any more, nor of a VM that is worked on', async () => {
  const { ask, machines, planned, at, vmId } = await stage();
  expect((await ask('POST', at, {})).body.reason).toBe('invalid-body');
  const { hash } = await planned();
  machines.found.findings = [orphan('/m/sl-a')];
  expect(await ask('POST', at, { planHash: hash })).toMatchObject({
    status: 412,
    body: { reason: 'plan-changed' },
  });
  const { hash: next } = await planned();
  machines.next.end = 'never';
  await ask('POST', `/v1/vms/${vmId}/snapshots`, {});
  expect((await ask('POST', at, { planHash: next })).body.reason).toBe('vm-busy');
});

test('what was changed since somebody has looked at it is not repaired', async () => {
  const { ask, machines, planned, at } = await stage();
  const { hash } = await planned();
  const stale = await ask('POST', at, { planHash: hash }, { 'if-match': '"1"' });
  expect(stale).toMatchObject({ status: 412, body: { reason: 'stale-version' } });
  expect(machines.found.findings).toHaveLength(2);
  const { headers } = await ask('POST', `${at}?validateOnly=true`);
  const etag = headers.get('etag') ?? '';
  expect((await ask('POST', at, { planHash: hash }, { 'if-match': etag })).status).toBe(200);
});

test('a key stands for one plan for ever', async () => {
  const { ask, planned, at } = await stage();
  const { hash } = await planned();
  const key = { 'idempotency-key': 'k' };
  await ask('POST', at, { planHash: hash }, key);
  const other = await ask('POST', at, { planHash: 'another' }, key);
  expect(other).toMatchObject({ status: 422, body: { reason: 'key-reused' } });
});

test('of a VM that is held nothing is removed, and no plan says that it would be', async () => {
  const { ask, machines, planned, at, vmId } = await stage();
  const { hash } = await planned();
  machines.next.end = 'held';
  await ask('POST', `/v1/vms/${vmId}/snapshots`, {});
  await expect.poll(async () => (await ask('GET', `/v1/vms/${vmId}`)).text).toContain('"Held"');
  const held = { status: 409, body: { reason: 'vm-held' } };
  expect(await ask('POST', `${at}?validateOnly=true`)).toMatchObject(held);
  expect(await ask('POST', at, { planHash: hash })).toMatchObject(held);
  expect(machines.found.findings).toHaveLength(2);
});

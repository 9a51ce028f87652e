/* Does a plan say what would be done and do nothing, and does a request that comes with one do just that? */
import { expect, test } from 'vitest';
import { ANSWERS } from '../../apps/ledgerd/http/answer-schemas.ts';
import type { ShownPlan } from '../../apps/ledgerd/http/plans.ts';
import { Refusal } from '#ledger';
import { type Answer, type Ledgerd, ledgerd, NOBODY, snapshotOn, vmOn } from './ledgerd.ts';

/** root ← middle ← leaf, and the machine on leaf. */
async function three() {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/snapshots`;
  const root = await snapshotOn(daemon, vmId, 'root');
  const middle = await snapshotOn(daemon, vmId, 'middle');
  const leaf = await snapshotOn(daemon, vmId, 'leaf');
  return { daemon, vmId, at, root, middle, leaf };
}

function planIn(answer: Answer): ShownPlan {
  expect(answer.status, answer.text).toBe(200);
  expect(ANSWERS.Planned.safeParse(answer.body).error?.message, answer.text).toBeUndefined();
  return answer.body['plan'] as ShownPlan;
}

/** The lineage in short: each node as `name<parent`, with a star where the machine stands. */
const inShort = ({ tree }: Pick<ShownPlan, 'tree'>): string[] =>
  tree.map(({ name, parentId, current, depth }) => {
    const parent = tree.find(({ id }) => id === parentId)?.name ?? '';
    return `${depth} ${name}<${parent}${current ? '*' : ''}`;
  });

const logOf = async ({ ask }: Ledgerd, vmId: string): Promise<string> =>
  (await ask('GET', `/v1/vms/${vmId}/events`)).text;

test('the plan of each command shows the tree as it would be, and nothing is recorded', async () => {
  const { daemon, vmId, at, root, middle } = await three();
  const before = await logOf(daemon, vmId);
  const plan = async (method: string, path: string, body?: object): Promise<ShownPlan> =>
    planIn(await daemon.ask(method, path, body));
  const create = await plan('POST', `${at}?validateOnly=true`, { name: 'new', labels: { a: 'b' } });
  expect(inShort(create)).toEqual(['0 root<', '1 middle<root', '2 leaf<middle', '3 new<leaf*']);
  expect(create.tree.at(-1)).toMatchObject({ status: 'complete', labels: { a: 'b' }, consistency: 'crash' });
  expect(create).toMatchObject({ commands: ['do it'], treeSize: 4 });
  const load = await plan('POST', `${at}/${root}/load?validateOnly=true`, {});
  expect(inShort(load)).toEqual(['0 root<*', '1 middle<root', '2 leaf<middle']);
  const merge = await plan('DELETE', `${at}/${middle}?strategy=merge&validateOnly=true`);
  expect(inShort(merge)).toEqual(['0 root<', '1 leaf<root*']);
  const discard = await plan('DELETE', `${at}/${middle}?strategy=discard-force&validateOnly=true`);
  expect(inShort(discard)).toEqual(['0 root<*']);
  expect(discard).toMatchObject({ snapshotsDiscarded: [expect.any(String)], bytes: 2048 });
  const all = await plan('DELETE', `${at}?validateOnly=true`);
  expect(all).toMatchObject({ tree: [], treeSize: 0 });
  expect(all.snapshotsDiscarded).toHaveLength(3);
  const retire = await plan('DELETE', `${at}/${middle}?validateOnly=true`);
  expect(retire.tree.map(({ status }) => status)).toEqual(['complete', 'retired', 'complete']);
  expect(await logOf(daemon, vmId)).toBe(before);
});

test('the tree before is the lineage that is shown', async () => {
  const { daemon, vmId, at, leaf } = await three();
  const nothing = planIn(await daemon.ask('POST', `${at}/${leaf}/load?validateOnly=true`, {}));
  const { body } = await daemon.ask('GET', `/v1/vms/${vmId}/lineage`);
  expect(nothing.tree).toEqual(body['nodes']);
});

test('a plan is the same as long as nothing moves, whatever ids are made up and however it is asked for', async () => {
  const { daemon, at, root, vmId } = await three();
  const hash = async (path: string, body: object | string = {}): Promise<string> =>
    planIn(await daemon.ask('POST', `${at}${path}?validateOnly=true`, body)).hash;
  const [create, load] = [await hash(''), await hash(`/${root}/load`)];
  expect(await hash('')).toBe(create);
  expect(await hash(`/${root}/load`, '{"safety":"disks","then":"as-captured"}')).toBe(load);
  const others = [
    await hash('', { name: 'x' }),
    await hash('', { id: NOBODY }),
    await hash('', { diskOnly: true, disks: [{ device: 'vda', snapshot: 'none' }] }),
    await hash(`/${root}/load`, { safety: 'none' }),
    load,
  ];
  expect(new Set([create, ...others]).size).toBe(others.length + 1);
  daemon.machines.planned.basis = 'switched off';
  const off = await hash('');
  expect(off).not.toBe(create);
  daemon.machines.planned.basis = 'as it was';
  expect(await hash('')).toBe(create);
  await snapshotOn(daemon, vmId, 'one more');
  expect(await hash('')).not.toBe(create);
});

test('a request with the hash of its plan does what the plan says, under the names that it says', async () => {
  const { daemon, vmId, at } = await three();
  const plan = planIn(await daemon.ask('POST', `${at}?validateOnly=true`, { name: 'new' }));
  const asked = await daemon.ask('POST', at, { name: 'new', planHash: plan.hash });
  expect(asked.status, asked.text).toBe(202);
  expect(plan.filesCreated).toEqual([`/m/sl-${asked.body.id}-1.qcow2`]);
  expect(plan.tree.at(-1)?.id).toBe(asked.body['snapshotId']);
  const ended = await daemon.ask('GET', `/v1/operations/${asked.body.id}?wait=10s`);
  expect(ended.body).toMatchObject({ done: true, outcome: 'succeeded' });
  expect(await logOf(daemon, vmId)).toContain(plan.hash);
  const { body } = await daemon.ask('GET', `/v1/vms/${vmId}/lineage`);
  const now = (body['nodes'] as ShownPlan['tree']).map((node) => ({ ...node, createdAt: '' }));
  expect(plan.tree.map((node) => ({ ...node, createdAt: '' }))).toEqual(now);
});

test('once the world has moved, a request with the old hash is refused and changes nothing', async () => {
  const { daemon, vmId, at, root, leaf } = await three();
  const { ask, machines } = daemon;
  const create = planIn(await ask('POST', `${at}?validateOnly=true`)).hash;
  const load = planIn(await ask('POST', `${at}/${root}/load?validateOnly=true`)).hash;
  const merge = planIn(await ask('DELETE', `${at}/${root}?strategy=merge&validateOnly=true`)).hash;
  const retire = planIn(await ask('DELETE', `${at}/${root}?validateOnly=true`)).hash;
  const all = planIn(await ask('DELETE', `${at}?validateOnly=true`)).hash;
  const requests = (): Promise<Answer>[] => [
    ask('POST', at, { planHash: create }),
    ask('POST', `${at}/${root}/load`, { planHash: load }),
    ask('DELETE', `${at}/${root}?strategy=merge&planHash=${merge}`),
    ask('DELETE', `${at}?planHash=${all}`),
  ];
  const changed = { status: 412, body: { reason: 'plan-changed', retryable: false } };
  machines.planned.basis = 'another disk';
  for (const refused of await Promise.all(requests())) expect(refused, refused.text).toMatchObject(changed);
  machines.planned.basis = 'as it was';
  await ask('PATCH', `${at}/${leaf}`, { description: 'moved' });
  const before = await logOf(daemon, vmId);
  const retiring = ask('DELETE', `${at}/${root}?planHash=${retire}`);
  for (const refused of await Promise.all([...requests(), retiring]))
    expect(refused, refused.text).toMatchObject(changed);
  expect(await logOf(daemon, vmId)).toBe(before);
});

test('a plan belongs to one wish', async () => {
  const { daemon, at, root, middle } = await three();
  const { hash } = planIn(await daemon.ask('DELETE', `${at}/${middle}?strategy=merge&validateOnly=true`));
  for (const query of [
    `${middle}?strategy=merge-force`,
    `${root}?strategy=merge`,
    `${middle}?strategy=retire`,
  ]) {
    const answer = await daemon.ask('DELETE', `${at}/${query}&planHash=${hash}`);
    expect(answer.body.reason, query).toBe('plan-changed');
  }
  const both = `${at}/${middle}?strategy=merge&validateOnly=true&planHash=`;
  expect(planIn(await daemon.ask('DELETE', `${both}${hash}`)).hash).toBe(hash);
  expect((await daemon.ask('DELETE', `${both}x`)).body.reason).toBe('plan-changed');
});

test('what the request would be refused, its plan is refused: by the ledger and by the look', async () => {
  const { daemon, vmId, at, root } = await three();
  const { ask, machines } = daemon;
  const cases: readonly (readonly [string, string, object | undefined, number, string])[] = [
    ['POST', `${at}?validateOnly=true`, { name: 'root' }, 409, 'name-taken'],
    ['POST', `${at}?validateOnly=true`, { memoryFile: '/x' }, 422, 'invalid-combination'],
    ['POST', `${at}/${NOBODY}/load?validateOnly=true`, {}, 404, 'snapshot-unknown'],
    ['DELETE', `${at}/${root}?strategy=discard&validateOnly=true`, undefined, 409, 'has-children'],
    ['POST', `/v1/vms/${NOBODY}/snapshots?validateOnly=true`, {}, 404, 'vm-unknown'],
  ];
  for (const [method, path, body, status, reason] of cases)
    expect(await ask(method, path, body), path).toMatchObject({ status, body: { reason } });
  machines.planned.refusal = new Refusal('needs-power-on', 'the machine is off');
  const looked = await ask('POST', `${at}/${root}/load?validateOnly=true`, {});
  expect(looked).toMatchObject({ status: 422, body: { reason: 'needs-power-on' } });
  machines.planned.refusal = null;
  const stale = await ask('POST', `${at}?validateOnly=true`, {}, { 'if-match': '"1"' });
  expect(stale).toMatchObject({ status: 412, body: { reason: 'stale-version' } });
  machines.next.end = 'never';
  await ask('POST', at, {});
  const busy = await ask('POST', `${at}?validateOnly=true`, {});
  expect(busy).toMatchObject({ status: 409, body: { reason: 'vm-busy' } });
  expect(await logOf(daemon, vmId)).not.toContain('LoadRequested');
});

test('a plan binds no idempotency key, and a request that was answered is answered again, whatever its plan', async () => {
  const { daemon, at } = await three();
  const key = { 'idempotency-key': 'k' };
  const { hash } = planIn(await daemon.ask('POST', `${at}?validateOnly=true`, { name: 'new' }, key));
  const first = await daemon.ask('POST', at, { name: 'new', planHash: hash }, key);
  expect(first.status, first.text).toBe(202);
  await daemon.ask('GET', `/v1/operations/${first.body.id}?wait=10s`);
  const again = await daemon.ask('POST', at, { name: 'new', planHash: hash }, key);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(again.body).toEqual(first.body);
  const other = await daemon.ask('POST', at, { name: 'other', planHash: hash }, key);
  expect(other.body.reason).toBe('key-reused');
});

test('what needs no machine is planned and done also while another operation goes on', async () => {
  const { daemon, at, root } = await three();
  daemon.machines.next.end = 'never';
  expect((await daemon.ask('POST', at, { name: 'slow' })).status).toBe(202);
  const retire = planIn(await daemon.ask('DELETE', `${at}/${root}?validateOnly=true`));
  expect(retire).toMatchObject({ commands: ['hide the snapshot and keep its data'], bytes: 0 });
  const { status } = await daemon.ask('DELETE', `${at}/${root}?planHash=${retire.hash}`);
  expect(status).toBeLessThan(300);
});

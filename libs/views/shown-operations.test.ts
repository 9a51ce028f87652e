import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Command, Refusal, type Vm } from '#ledger';
import { operationFromRequest } from './show/operations.ts';
import { everyItem, Stage } from './story/open.ts';
import { create, failure, load, register, remove, start, success } from './story/scribe.ts';
import type { Views } from './views.ts';

const PAGE = { pageSize: 100 };

let directory: string;
let stage: Stage;
let views: Views;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'snapledger-views-'));
  stage = new Stage(directory);
  views = await stage.open();
  await ask(register('vm'));
});
afterEach(async () => {
  await stage.close();
  rmSync(directory, { recursive: true });
});

const ask = (command: Command, vmId = 'vm', actor = 'http:ann') => stage.ask(views, command, vmId, actor);

const work = (command: (vm: Vm) => Command) => ask(command(stage.scribe.vm('vm')), 'vm', 'worker:host-1');

async function taken(...ids: string[]): Promise<void> {
  for (const id of ids) {
    await ask(create(id));
    await work(success);
  }
}

/** Where it stands in the log is not what an operation is about. */
const NOT_SEALED = { position: '', previousHash: '', hash: '' };

const ids = (snapshots: readonly { readonly id: string }[]): string[] => snapshots.map(({ id }) => id);

test('an operation is shown as it was accepted, as it goes on and as it ends', async () => {
  const [asked] = await ask(create('a'));
  const accepted = {
    ...{ id: 'create-a', kind: 'create', vmId: 'vm', snapshotId: 'a', done: false, outcome: null },
    ...{ phase: 'queued', percent: 0, steps: [], leftovers: [], message: 'create waits for the worker' },
  };
  expect(views.operation('create-a')).toEqual(accepted);
  expect(asked && operationFromRequest({ ...asked, ...NOT_SEALED })).toEqual(accepted);
  expect(views.vm('vm')?.body.operationId).toBe('create-a');
  await work(start);
  expect(views.operation('create-a')).toMatchObject({ phase: 'working', done: false });
  await work(success);
  expect(views.operation('create-a')).toMatchObject({
    ...{ done: true, outcome: 'succeeded', phase: 'done', percent: 100, response: { snapshotId: 'a' } },
    steps: [{ name: 'create', state: 'done' }],
  });
  expect(views.operation('create-a')).not.toHaveProperty('error');
  expect(views.vm('vm')?.body.operationId).toBeNull();
});

const left = (device: string) => ({ device, file: `/images/${device}.qcow2`, tag: 'sl-x', why: 'locked' });

test('a failed operation says why, whether to try again, and what is left until it is gone', async () => {
  await ask(create('a'));
  await work((vm) => failure(vm, 'held', ['vda', 'vdb']));
  const error = { reason: 'machine-gone', message: 'QEMU died', retryable: false };
  expect(views.operation('create-a')).toMatchObject({
    ...{ done: true, outcome: 'needs-operator', message: 'QEMU died', error },
    leftovers: [left('vda'), left('vdb')],
  });
  expect(views.vm('vm')?.body.conditions).toEqual([
    { type: 'Held', reason: 'machine-gone', message: 'QEMU died' },
  ]);
  const { why: _, ...gone } = left('vda');
  await ask({ type: 'ReportLeftoverRemoved', leftover: { snapshotId: 'a', ...gone } });
  expect(views.operation('create-a')?.leftovers).toEqual([left('vdb')]);
  expect(views.vm('vm')?.body.conditions).toHaveLength(1);
  await ask({ type: 'ReleaseHold', note: 'removed by hand' });
  expect(views.operation('create-a')).toMatchObject({ outcome: 'needs-operator', leftovers: [] });
  expect(views.vm('vm')?.body.conditions).toEqual([]);
});

/** What holds the machine, as it is shown and as the ledger has it. */
function holdOf(): readonly [string | undefined, string | undefined] {
  const [condition, ...others] = views.vm('vm')?.body.conditions ?? [];
  expect(others).toEqual([]);
  return [condition?.message, stage.scribe.vm('vm').hold?.message];
}

const isGone = (device: string): Promise<unknown> => {
  const { why: _, ...leftover } = left(device);
  return ask({ type: 'ReportLeftoverRemoved', leftover: { snapshotId: null, ...leftover } });
};

test('a load that tore the disks holds the machine when nothing is left too, until another load is done', async () => {
  await taken('a');
  for (const devices of [[], ['vda']]) {
    await ask(load('a', `torn-${devices}`));
    await work((vm) => failure(vm, 'held', devices));
    for (const device of devices) await isGone(device);
    expect(views.operation(`torn-${devices}`)).toMatchObject({ outcome: 'needs-operator', leftovers: [] });
    expect(holdOf()).toEqual(['QEMU died', 'QEMU died']);
    await ask(load('a', `undone-${devices}`));
    await work((vm) => failure(vm, 'undone'));
    expect(holdOf()).toEqual(['QEMU died', 'QEMU died']);
    expect(views.vm('vm')?.body.current).toEqual({ snapshotId: 'a', confidence: 'unknown' });
    await ask(load('a', `whole-${devices}`));
    await work(success);
    expect(holdOf()).toEqual([undefined, undefined]);
    expect(views.vm('vm')?.body.current).toEqual({ snapshotId: 'a', confidence: 'known' });
  }
});

test('a load that is done leaves the machine held by what is still left of others', async () => {
  await taken('a');
  await ask(load('a', 'torn'));
  await work((vm) => failure(vm, 'held', ['vda']));
  await ask(load('a', 'torn-again'));
  await work((vm) => failure(vm, 'held', ['vda', 'vdb']));
  await ask(load('a', 'whole'));
  await work(success);
  await isGone('vda');
  expect(holdOf()).toEqual(['QEMU died', 'QEMU died']);
  expect(views.operation('torn')?.leftovers).toEqual([]);
  expect(views.operation('torn-again')?.leftovers).toEqual([left('vdb')]);
  await isGone('vdb');
  expect(holdOf()).toEqual([undefined, undefined]);
});

test('retiring is an operation that is done at once', async () => {
  await taken('a');
  const [retired] = await ask(remove('a', 'op-1', 'retire'));
  const done = {
    ...{ id: 'op-1', kind: 'retire', vmId: 'vm', snapshotId: 'a', done: true, outcome: 'succeeded' },
    ...{ phase: 'done', percent: 100, steps: [], leftovers: [], message: 'retire is done' },
    response: { snapshotId: 'a' },
  };
  expect(views.operation('op-1')).toEqual(done);
  expect(retired && operationFromRequest({ ...retired, ...NOT_SEALED })).toEqual(done);
});

/** The ids in a list, page by page. */
function list(query: object): string[] {
  const sizes = new Set<number>();
  const found = everyItem((token) => {
    const page = views.operations({ pageSize: 2, ...query, ...token });
    sizes.add(page.totalSize);
    return [page.operations, page.nextPageToken];
  });
  expect([...sizes]).toEqual([found.length]);
  return ids(found);
}

test('operations are listed by machine and by whether they are done', async () => {
  await taken('a', 'b');
  await ask(register('other'), 'other');
  await ask(create('c', { operationId: 'create-c' }), 'other');
  await ask(load('a', 'load-a'));
  expect(list({})).toEqual(['create-a', 'create-b', 'create-c', 'load-a']);
  expect(list({ done: false })).toEqual(['create-c', 'load-a']);
  expect(list({ done: true })).toEqual(['create-a', 'create-b']);
  expect(list({ vmId: 'vm' })).toEqual(['create-a', 'create-b', 'load-a']);
  expect(list({ vmId: 'vm', done: false })).toEqual(['load-a']);
  expect(list({ vmId: 'vm', done: true })).toEqual(['create-a', 'create-b']);
});

test('history tells what was done, by whom, and how it ended; who asked, not who did it', async () => {
  await ask(create('a'), 'vm', 'http:bob');
  await work(success);
  await ask({ type: 'PatchSnapshot', snapshotId: 'a', name: 'after' });
  await ask(load('a', 'load-a'));
  await work((vm) => failure(vm, 'undone'));
  await ask(remove('a', 'op-1', 'retire'));
  await ask(remove('a', 'op-2', 'discard'));
  await work(success);
  await ask({ type: 'ForgetVm' });
  const { entries, totalSize } = views.history('vm', PAGE);
  const rows = entries.map(({ actor, action, snapshotId, name, operationId, outcome }) => [
    ...[action, actor, snapshotId, name, operationId, outcome],
  ]);
  expect(rows).toEqual([
    ['registered', 'http:ann', null, null, null, 'succeeded'],
    ['created', 'http:bob', 'a', 'a', 'create-a', 'succeeded'],
    ['renamed', 'http:ann', 'a', 'after', null, 'succeeded'],
    ['load-failed', 'http:ann', 'a', 'after', 'load-a', 'failed'],
    ['retired', 'http:ann', 'a', 'after', 'op-1', 'succeeded'],
    ['deleted', 'http:ann', 'a', 'after', 'op-2', 'succeeded'],
    ['forgotten', 'http:ann', null, null, null, 'succeeded'],
  ]);
  expect(entries[3]).toMatchObject({ reason: 'machine-gone' });
  expect(totalSize).toBe(7);
});

test('a forgotten machine is gone; its past is not', async () => {
  await taken('a');
  const { version = 0 } = views.vm('vm') ?? {};
  const before = stage.scribe.now;
  await ask({ type: 'ForgetVm' });
  expect(views.vm('vm')).toBeNull();
  expect(views.vms(PAGE)).toEqual({ vms: [], totalSize: 0 });
  expect(() => views.lineage('vm', PAGE)).toThrow(Refusal);
  expect(views.vm('vm', { version })?.body.name).toBe('vm vm');
  expect(ids(views.lineage('vm', { ...PAGE, asOf: before }).nodes)).toEqual(['a']);
  expect(views.snapshot('vm', 'a')?.body.status).toBe('complete');
  expect(views.history('vm', PAGE).entries.at(-1)?.action).toBe('forgotten');
  await ask({ type: 'RegisterVm', registration: { ...registrationOf('again'), name: 'vm vm' } }, 'again');
  expect(views.vms({ ...PAGE, name: 'vm vm' }).vms.map(({ id }) => id)).toEqual(['again']);
});

const registrationOf = (vmId: string) => (register(vmId) as Command & { type: 'RegisterVm' }).registration;

test('machines are listed in the order of their registration, page by page', async () => {
  for (const id of ['b', 'a', 'c', 'd']) await ask(register(id), id);
  await ask(
    { type: 'ChangeVm', change: { name: 'renamed', labels: { rack: '7' }, guestAgent: '/run/ga' } },
    'a',
  );
  const first = views.vms({ pageSize: 2 });
  await ask(register('late'), 'late');
  const rest = views.vms({ pageSize: 9, pageToken: first.nextPageToken ?? '' });
  expect([...ids(first.vms), ...ids(rest.vms)]).toEqual(['vm', 'b', 'a', 'c', 'd']);
  expect([first.totalSize, rest.totalSize, rest.nextPageToken]).toEqual([5, 5, undefined]);
  expect(ids(views.vms({ ...PAGE, name: 'renamed' }).vms)).toEqual(['a']);
  expect(views.vms({ ...PAGE, name: 'vm a' }).totalSize).toBe(0);
  expect(views.vm('a')?.body).toMatchObject({
    ...{
      name: 'renamed',
      labels: { rack: '7' },
      guestAgent: '/run/ga',
      host: 'host-1',
      monitor: '/run/a.qmp',
    },
    disks: [
      { device: 'vda', node: 'node-vda', format: 'qcow2', file: '/images/vda.qcow2', default: 'internal' },
      {},
    ],
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { canonicalJson } from '#event-store';
import { type Command, Refusal, type Vm } from '#ledger';
import { Stage } from './story/open.ts';
import { create, failure, load, register, remove, success } from './story/scribe.ts';
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

const ids = (snapshots: readonly { readonly id: string }[]): string[] => snapshots.map(({ id }) => id);

function refusalOf(look: () => unknown): string {
  try {
    look();
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  throw new Error('it was not refused');
}

test('savevm a,b,c,d; loadvm b; savevm e: the tree of the 2010 wiki page', async () => {
  await taken('a', 'b', 'c', 'd');
  await ask(load('b', 'load-b'));
  await work(success);
  await taken('e');
  const { nodes, current, position } = views.lineage('vm', PAGE);
  expect(nodes.map(({ id, depth, childCount, parentId }) => [id, depth, childCount, parentId])).toEqual([
    ['a', 0, 1, null],
    ['b', 1, 2, 'a'],
    ['c', 2, 1, 'b'],
    ['d', 3, 0, 'c'],
    ['e', 2, 0, 'b'],
  ]);
  expect(current).toEqual({ snapshotId: 'e', confidence: 'known' });
  expect(nodes.filter((node) => node.current).map(({ id }) => id)).toEqual(['e']);
  expect(position).toBe(await stage.store.head());
  expect(ids(views.ancestors('vm', 'd', PAGE).snapshots)).toEqual(['c', 'b', 'a']);
  expect(ids(views.ancestors('vm', 'a', PAGE).snapshots)).toEqual([]);
});

test('a snapshot says what was captured once it was captured, and not before', async () => {
  await ask(create('a', { memory: 'internal', description: 'before the update', labels: { tier: 'gold' } }));
  const asked = {
    ...{
      id: 'a',
      vmId: 'vm',
      name: 'a',
      description: 'before the update',
      parentId: null,
      status: 'pending',
    },
    ...{ vmState: null, memory: { mode: 'internal' }, consistency: null, implicit: false, protected: false },
    disks: [
      { device: 'vda', mode: 'internal' },
      { device: 'vdb', mode: 'internal' },
    ],
    ...{ labels: { tier: 'gold' }, current: false, createdAt: '2026-11-18T11:33:22.000Z' },
  };
  const before = views.snapshot('vm', 'a');
  expect({ ...before?.body, createdAt: asked.createdAt }).toEqual(asked);
  await work(success);
  expect(views.snapshot('vm', 'a')).toMatchObject({
    version: 3,
    body: {
      ...{ status: 'complete', vmState: 'running', consistency: 'memory', current: true },
      createdAt: before?.body.createdAt,
      memory: { mode: 'internal', device: 'vdb', sizeBytes: 4_096 },
      disks: [
        { device: 'vda', mode: 'internal', file: '/images/vda.qcow2' },
        { device: 'vdb', mode: 'internal', file: '/images/vdb.qcow2' },
        { device: 'vdc', mode: 'internal', file: '/images/vdc.qcow2' },
      ],
    },
  });
  expect(views.snapshot('vm', 'a', { version: 2 })).toEqual(before);
  expect(views.snapshot('vm', 'a', { version: 1 })).toBeNull();
});

test('lists show what lives and is not retired, unless they are asked for more', async () => {
  await taken('a', 'b', 'c', 'd');
  await ask(remove('a', 'op-1', 'retire'));
  await ask(remove('b', 'op-2', 'merge'));
  await work(success);
  await ask(create('x'));
  await work((vm) => failure(vm, 'undone'));
  const list = (...status: string[]) =>
    views.snapshots('vm', { ...PAGE, ...(status.length > 0 && { status }) });
  expect(ids(list().snapshots)).toEqual(['c', 'd']);
  expect(ids(list('retired').snapshots)).toEqual(['a']);
  expect(ids(list('deleted', 'failed', 'retired').snapshots)).toEqual(['a', 'b', 'x']);
  expect(list('deleted', 'failed').totalSize).toBe(2);
  expect(refusalOf(() => list('gone'))).toBe('invalid-query');
  expect(views.snapshot('vm', 'b')?.body).toMatchObject({ status: 'deleted', parentId: 'a', current: false });
  expect(views.snapshot('vm', 'x')?.body).toMatchObject({ status: 'failed', parentId: 'd' });
  expect(views.snapshot('vm', 'nobody')).toBeNull();
});

test('lists are searched by labels and by name, whatever those are called', async () => {
  const odd = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
  await ask(create('a', { name: '__proto__' }));
  await work(success);
  await stage.scribe.write('vm-vm', [{ type: 'SnapshotLabelled', data: { snapshotId: 'a', labels: odd } }]);
  await ask(create('b', { name: "'; DROP TABLE snapshots; --", labels: { constructor: 'y' } }));
  await work(success);
  await taken('c');
  const found = (query: object) => ids(views.snapshots('vm', { ...PAGE, ...query }).snapshots);
  expect(canonicalJson(views.snapshot('vm', 'a')?.body.labels)).toBe('{"__proto__":"x","constructor":"y"}');
  expect(found({ labels: odd })).toEqual(['a']);
  expect(found({ labels: { constructor: 'y' } })).toEqual(['a', 'b']);
  expect(found({ labels: { toString: 'y' } })).toEqual([]);
  expect(found({ name: '__proto__' })).toEqual(['a']);
  expect(found({ name: "'; DROP TABLE snapshots; --" })).toEqual(['b']);
  expect(views.snapshots('vm', { ...PAGE, labels: { constructor: 'y' } }).totalSize).toBe(2);
  await ask({ type: 'PatchSnapshot', snapshotId: 'c', labels: { constructor: 'y' } });
  expect(found({ labels: { constructor: 'y' }, status: ['complete', 'deleted'] })).toEqual(['a', 'b', 'c']);
});

test('a walk sees one state, whatever happens meanwhile', async () => {
  await taken('a', 'b', 'c', 'd', 'e');
  const tree = views.lineage('vm', { pageSize: 2 });
  const list = views.snapshots('vm', { pageSize: 2 });
  const path = views.ancestors('vm', 'e', { pageSize: 2 });
  const history = views.history('vm', { pageSize: 2 });
  await ask(remove('c', 'op-1', 'merge'));
  await work(success);
  await taken('f');
  const rest = { pageSize: 9 };
  const nodes = views.lineage('vm', { ...rest, pageToken: tree.nextPageToken ?? '' });
  expect(ids(nodes.nodes)).toEqual(['c', 'd', 'e']);
  expect([nodes.position, nodes.current.snapshotId]).toEqual([tree.position, 'e']);
  expect(ids(views.snapshots('vm', { ...rest, pageToken: list.nextPageToken ?? '' }).snapshots)).toEqual([
    'c',
    'd',
    'e',
  ]);
  expect(ids(views.ancestors('vm', 'e', { ...rest, pageToken: path.nextPageToken ?? '' }).snapshots)).toEqual(
    ['b', 'a'],
  );
  const more = views.history('vm', { ...rest, pageToken: history.nextPageToken ?? '' });
  expect([more.entries.length, more.totalSize, more.nextPageToken]).toEqual([4, 6, undefined]);
});

test('a token is good for its own query and nothing else', async () => {
  await taken('a', 'b', 'c');
  await ask(register('other'), 'other');
  const token = { pageToken: views.lineage('vm', { pageSize: 1 }).nextPageToken ?? '' };
  const asked = [
    () => views.lineage('vm', { pageSize: 1, depth: 3, ...token }),
    () => views.lineage('other', { pageSize: 1, ...token }),
    () => views.lineage('vm', { pageSize: 1, asOf: 1, ...token }),
    () => views.snapshots('vm', { pageSize: 1, ...token }),
    () => views.vms({ pageSize: 1, ...token }),
    () => views.lineage('vm', { pageSize: 1, pageToken: '' }),
    () => views.lineage('vm', { pageSize: 1, pageToken: 'bm9uc2Vuc2U' }),
    () => views.lineage('vm', { pageSize: 1, pageToken: `${token.pageToken.slice(0, -8)}AAAA` }),
    () => views.lineage('vm', { pageSize: 0 }),
    () => views.history('vm', { pageSize: 1.5 }),
  ];
  for (const [at, look] of asked.entries()) expect(refusalOf(look), String(at)).toBe('invalid-query');
  expect(ids(views.lineage('vm', { pageSize: 7, ...token }).nodes)).toEqual(['b', 'c']);
});

test('what never was is told by its kind', () => {
  expect(views.vm('nobody')).toBeNull();
  expect(views.snapshot('nobody', 'a')).toBeNull();
  expect(views.operation('nobody')).toBeNull();
  expect(views.history('nobody', PAGE)).toEqual({ entries: [], totalSize: 0 });
  expect(views.operations({ ...PAGE, vmId: 'nobody' })).toEqual({ operations: [], totalSize: 0 });
  expect(refusalOf(() => views.lineage('nobody', PAGE))).toBe('vm-unknown');
  expect(refusalOf(() => views.snapshots('nobody', PAGE))).toBe('vm-unknown');
  expect(refusalOf(() => views.ancestors('vm', 'nobody', PAGE))).toBe('snapshot-unknown');
  expect(refusalOf(() => views.lineage('vm', { ...PAGE, root: 'nobody' }))).toBe('snapshot-unknown');
});

test('an instant before everything shows nothing, one after everything shows all', async () => {
  await taken('a');
  for (const asOf of [Number.MAX_SAFE_INTEGER, 1e15]) {
    expect(ids(views.lineage('vm', { ...PAGE, asOf }).nodes)).toEqual(['a']);
  }
  for (const asOf of [0, -1, -1e15]) {
    expect(views.lineage('vm', { ...PAGE, asOf })).toMatchObject({
      nodes: [],
      current: { snapshotId: null },
    });
    expect(views.snapshots('vm', { ...PAGE, asOf })).toEqual({ snapshots: [], totalSize: 0 });
  }
});

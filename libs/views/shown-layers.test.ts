import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Command, Strategy, Vm } from '#ledger';
import { Stage } from './story/open.ts';
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

const ask = (command: Command) => stage.ask(views, command);
const work = (command: (vm: Vm) => Command) =>
  stage.ask(views, command(stage.scribe.vm('vm')), 'vm', 'worker:host-1');

/** On vda outside, on vdb not at all. */
async function takenOutside(...ids: string[]): Promise<void> {
  const disks = [
    { device: 'vda', mode: 'external' as const },
    { device: 'vdb', mode: 'none' as const },
  ];
  for (const id of ids) {
    await ask(create(id, { disks }));
    await work(success);
  }
}

async function taken(...ids: string[]): Promise<void> {
  for (const id of ids) {
    await ask(create(id));
    await work(success);
  }
}

/** Saves the present as `pin` first. */
async function loadedSafely(id: string, pin: string): Promise<void> {
  await ask(load(id, `load-${id}-${pin}`, pin));
  await work(success);
  await work(success);
}

async function removed(id: string, strategy: Strategy): Promise<void> {
  await ask(remove(id, `remove-${id}`, strategy));
  await work(success);
}

/** What a snapshot keeps of vda is in this file; the version says when. */
const held = (id: string, version?: number): string | undefined =>
  views.snapshot('vm', id, version === undefined ? {} : { version })?.body.disks[0]?.file;
const written = (version?: number) => {
  const { file, node, format } =
    views.vm('vm', version === undefined ? {} : { version })?.body.disks[0] ?? {};
  return { file, node, format };
};
const versionNow = (): number => views.vm('vm')?.version ?? 0;

test('a snapshot outside the disks says which file it froze, and the machine which it writes on', async () => {
  const before = versionNow();
  await takenOutside('a');
  expect(views.snapshot('vm', 'a')?.body.disks).toEqual([
    { device: 'vda', mode: 'external', file: '/images/vda.qcow2' },
    { device: 'vdb', mode: 'none' },
    { device: 'vdc', mode: 'internal', file: '/images/vdc.qcow2' },
  ]);
  expect(written()).toEqual({ file: '/images/vda-a.qcow2', node: 'node-a', format: 'qcow2' });
  expect(written(before).file).toBe('/images/vda.qcow2');
});

test('what was only asked for holds nothing yet: the file that the caller names is for the machine', async () => {
  const disks = [{ device: 'vda', mode: 'external' as const, file: '/said/by/me', format: 'qed' }];
  await ask(create('a', { disks, memory: 'external', memoryFile: '/said/memory' }));
  expect(views.snapshot('vm', 'a')?.body).toMatchObject({
    disks: [
      { device: 'vda', mode: 'external' },
      { device: 'vdb', mode: 'internal' },
    ],
    memory: { mode: 'external' },
  });
  expect(views.snapshot('vm', 'a')?.body.disks[0]).not.toHaveProperty('file');
  await work((vm) => failure(vm, 'undone'));
  expect(held('a')).toBeUndefined();
});

test('memory in a file of its own is shown with all that is known of it', async () => {
  await ask(create('a', { memory: 'external' }));
  await work(success);
  expect(views.snapshot('vm', 'a')?.body.memory).toEqual({
    ...{ mode: 'external', file: '/images/memory-a.qcow2', format: 'state', sizeBytes: 4_096 },
    sha256: 'ab'.repeat(32),
  });
});

test('when layers are folded into the image, what snapshots hold moves with them, and the past stays as it was', async () => {
  await takenOutside('a', 'b', 'c');
  const before = versionNow();
  expect(held('b')).toBe('/images/vda-a.qcow2');
  await removed('a', 'merge');
  expect([held('b'), held('c')]).toEqual(['/images/vda.qcow2', '/images/vda-b.qcow2']);
  expect([held('b', before), held('b', before + 1)]).toEqual(Array(2).fill('/images/vda-a.qcow2'));
  expect(written().file).toBe('/images/vda-c.qcow2');
  const [node] = views.lineage('vm', PAGE).nodes;
  expect([node?.id, node?.disks[0]?.file]).toEqual(['b', '/images/vda.qcow2']);
  expect(held('a')).toBe('/images/vda.qcow2'); // It is gone, and shown as it was in the end.
});

test('when the last one is folded the machine writes on its own image again', async () => {
  await takenOutside('a');
  const before = versionNow();
  await removed('a', 'merge');
  expect([written().file, written(before).file]).toEqual(['/images/vda.qcow2', '/images/vda-a.qcow2']);
});

test('a load goes on in a new file; a failed one too, when it says so', async () => {
  await takenOutside('a', 'b');
  await ask(load('a', 'load-a'));
  await work(success);
  expect(written().file).toBe('/images/vda-load-a.qcow2');
  expect(held('a')).toBe('/images/vda.qcow2');
  await ask(load('b', 'load-b'));
  await work((vm) => failure(vm, 'held'));
  expect(views.vm('vm')?.body.disks[1]?.file).toBe('/images/vdb-load-b-left.qcow2');
});

// a ── b, and p is what the machine was when it went back to a.
test('a pin is hidden unless somebody asks for it, and then it is what it is', async () => {
  await taken('a', 'b');
  await loadedSafely('a', 'p');
  const tree = (implicit: boolean) =>
    views
      .lineage('vm', { ...PAGE, implicit })
      .nodes.map(({ id, depth, childCount }) => [id, depth, childCount]);
  const list = (query: object) => views.snapshots('vm', { ...PAGE, ...query });
  const ids = (query: object) => list(query).snapshots.map(({ id }) => id);
  expect(tree(false)).toEqual([
    ['a', 0, 1],
    ['b', 1, 0],
  ]);
  expect(tree(true)).toEqual([
    ['a', 0, 1],
    ['b', 1, 0],
    ['p', 2, 0],
  ]);
  expect([ids({}), list({}).totalSize]).toEqual([['a', 'b'], 2]);
  expect([ids({ implicit: true }), list({ implicit: true }).totalSize]).toEqual([['a', 'b', 'p'], 3]);
  expect([ids({ name: 'snap-p' }), ids({ name: 'snap-p', implicit: true })]).toEqual([[], ['p']]);
  expect(views.snapshot('vm', 'p')?.body).toMatchObject({
    ...{ name: 'snap-p', parentId: 'b', status: 'complete', implicit: true, current: false },
    disks: [
      { device: 'vda', mode: 'external', file: '/images/vda.qcow2' },
      { device: 'vdb', mode: 'internal', file: '/images/vdb.qcow2' },
    ],
  });
});

test('what descends from a pin stands where the pin would, as long as that is hidden', async () => {
  await taken('a', 'b');
  await loadedSafely('a', 'p');
  await loadedSafely('p', 'q');
  await taken('c');
  const tree = (query: object) =>
    views
      .lineage('vm', { ...PAGE, ...query })
      .nodes.map(({ id, depth, childCount }) => `${id} ${depth} ${childCount}`);
  expect(tree({})).toEqual(['a 0 1', 'b 1 1', 'c 2 0']);
  expect(tree({ implicit: true })).toEqual(['a 0 1', 'b 1 0', 'p 2 1', 'c 3 0', 'q 1 0']);
  expect(tree({ root: 'p' })).toEqual(['p 0 1', 'c 1 0']);
  expect(views.snapshot('vm', 'c')?.body.parentId).toBe('p');
  expect(views.ancestors('vm', 'c', PAGE).snapshots.map(({ id }) => id)).toEqual(['p', 'b', 'a']);
  await loadedSafely('a', 'r');
  expect(tree({ implicit: true })).toEqual(['a 0 1', 'b 1 1', 'c 2 0', 'r 3 0']);
  const gone = views.snapshots('vm', { ...PAGE, status: ['deleted'], implicit: true });
  expect(gone.snapshots.map(({ id, status }) => [id, status])).toEqual([
    ['p', 'deleted'],
    ['q', 'deleted'],
  ]);
  expect(views.snapshots('vm', { ...PAGE, status: ['deleted'] })).toEqual({ snapshots: [], totalSize: 0 });
});

test('a pin is in the history, and a step of the load that made it', async () => {
  await taken('a');
  await ask(load('a', 'load-a', 'p'));
  await work(start);
  await work(success);
  expect(views.operation('load-a')).toMatchObject({
    phase: 'working',
    steps: [{ name: 'pin', state: 'done' }],
  });
  const { entries } = views.history('vm', PAGE);
  expect(entries.at(-1)).toMatchObject({
    ...{ action: 'pinned', snapshotId: 'p', name: 'snap-p', operationId: 'load-a', actor: 'http:ann' },
    outcome: 'succeeded',
  });
  await work(success);
  expect(views.operation('load-a')).toMatchObject({
    done: true,
    outcome: 'succeeded',
    steps: [{ name: 'load' }],
  });
});

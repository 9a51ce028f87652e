import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { canonicalJson } from '#event-store';
import { parseRfc3339 } from '#world';
import { ViewsCheck } from './check.ts';
import { rebuildViews } from './rebuild.ts';
import { SNAPSHOT_STATUSES } from './shapes.ts';
import { Chance } from './story/chance.ts';
import { dumpOf } from './story/dump.ts';
import { live } from './story/lives.ts';
import { everyItem, Stage } from './story/open.ts';
import { ancestorsOf, type Picture, Retelling, treeOf, type TreeWish } from './story/retelling.ts';
import type { Views } from './views.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];
const MOVES = 120;
const VMS = ['vm-a', '__proto__'];

let directory: string;
let stage: Stage;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'snapledger-views-'));
  stage = new Stage(directory);
});
afterEach(async () => {
  await stage.close();
  rmSync(directory, { recursive: true });
});

const live1 = (chance: Chance, vmIds = VMS): Promise<void> =>
  live(stage.scribe, chance.of(vmIds) ?? '', chance);

/** Own members, whatever they are called, in an order of their own. */
const same = (shown: unknown, told: unknown, about: string): void =>
  expect(canonicalJson(shown), about).toBe(canonicalJson(told));

interface When {
  readonly asOf?: number;
}

const treeIn = (views: Views, vmId: string, query: When & TreeWish, pageSize = 3) =>
  everyItem((token) => {
    const page = views.lineage(vmId, { pageSize, ...query, ...token });
    return [page.nodes, page.nextPageToken];
  });

interface Wanted {
  readonly status?: string[];
  readonly name?: string;
  readonly implicit?: boolean;
}

const listIn = (views: Views, vmId: string, query: When & Wanted) =>
  everyItem((token) => {
    const page = views.snapshots(vmId, { pageSize: 4, ...query, ...token });
    expect(page.snapshots.length).toBeLessThanOrEqual(4);
    return [page.snapshots, page.nextPageToken];
  });

const IN_USE = ['pending', 'complete', 'deleting', 'lost', 'suspect'];

/** Everything that the views say of a VM now, beside what evolve says. */
function compareNow(views: Views, vmId: string, picture: Picture, about: string): void {
  same(views.vm(vmId), picture.vm && { body: picture.vm, version: picture.version }, about);
  for (const snapshot of picture.snapshots) {
    same(views.snapshot(vmId, snapshot.id), { body: snapshot, version: picture.version }, about);
    const path = everyItem((token) => {
      const page = views.ancestors(vmId, snapshot.id, { pageSize: 2, ...token });
      return [page.snapshots, page.nextPageToken];
    });
    same(path, ancestorsOf(picture, snapshot.id), about);
  }
  compareLists(views, vmId, picture, {}, about);
}

// oxlint-disable-next-line max-params
function compareLists(views: Views, vmId: string, picture: Picture, when: When, about: string): void {
  for (const implicit of [false, true]) {
    same(treeIn(views, vmId, { ...when, implicit }), treeOf(picture, { implicit }), about);
    compareFlat(views, vmId, picture, { ...when, implicit }, about);
  }
  same(views.lineage(vmId, { pageSize: 1, ...when }).current, picture.current, about);
}

// oxlint-disable-next-line max-params
function compareFlat(
  views: Views,
  vmId: string,
  { snapshots }: Picture,
  when: When & { readonly implicit: boolean },
  about: string,
): void {
  const wanted = snapshots.filter(({ implicit }) => when.implicit || !implicit);
  const of = (statuses: readonly string[]) => wanted.filter(({ status }) => statuses.includes(status));
  same(listIn(views, vmId, when), of(IN_USE), about);
  for (const status of SNAPSHOT_STATUSES) {
    const query = { ...when, status: [status] };
    same(listIn(views, vmId, query), of([status]), about);
    expect(views.snapshots(vmId, { pageSize: 1, ...query }).totalSize, about).toBe(of([status]).length);
  }
  const everybody = { ...when, status: [...SNAPSHOT_STATUSES] };
  same(listIn(views, vmId, everybody), wanted, about);
  for (const name of new Set(snapshots.map((snapshot) => snapshot.name))) {
    const namesakes = wanted.filter((snapshot) => snapshot.name === name);
    same(listIn(views, vmId, { ...everybody, name }), namesakes, about);
    const inUse = namesakes.filter(({ status }) => IN_USE.includes(status));
    same(listIn(views, vmId, { ...when, name }), inUse, about);
  }
}

test.each(SEEDS)('after every event the views show what evolve says, seed %i', async (seed) => {
  const chance = new Chance(seed);
  const views = await stage.open();
  const told = new Map(VMS.map((vmId) => [`vm-${vmId}`, new Retelling(vmId)]));
  for (let move = 0; move < MOVES; move += 1) {
    const before = stage.scribe.written.length;
    await live1(chance);
    await stage.caughtUp(views);
    for (const event of stage.scribe.written.slice(before)) told.get(event.stream)?.tell(event);
    const stream = stage.scribe.written.at(-1)?.stream ?? '';
    const picture = told.get(stream)?.pictures.at(-1);
    if (picture) compareNow(views, stream.slice('vm-'.length), picture, `seed ${seed}, move ${move}`);
  }
});

test.each(SEEDS)('the views show every version and instant of the past as it was, seed %i', async (seed) => {
  const chance = new Chance(100 + seed);
  for (let move = 0; move < 2 * MOVES; move += 1) await live1(chance);
  const views = await stage.open();
  for (const vmId of VMS) {
    const { pictures } = retold(vmId);
    for (const picture of pictures) compareVersion(views, vmId, picture);
    for (const picture of lastOfEachInstant(pictures)) {
      const asOf = parseRfc3339(picture.recordedAt) ?? 0;
      compareLists(views, vmId, picture, { asOf }, `seed ${seed}, ${vmId} as of ${picture.recordedAt}`);
    }
    const first = parseRfc3339(pictures[1]?.recordedAt ?? '') ?? 0;
    same(treeIn(views, vmId, { asOf: first - 1 }), [], 'before it was registered');
  }
});

function compareVersion(views: Views, vmId: string, { version, vm, snapshots }: Picture): void {
  const about = `${vmId} version ${version}`;
  same(views.vm(vmId, { version })?.body ?? null, vm, about);
  for (const one of snapshots) same(views.snapshot(vmId, one.id, { version })?.body, one, about);
}

function retold(vmId: string): Retelling {
  const retelling = new Retelling(vmId);
  for (const event of stage.scribe.written) if (event.stream === `vm-${vmId}`) retelling.tell(event);
  return retelling;
}

const lastOfEachInstant = (pictures: readonly Picture[]): Picture[] => [
  ...new Map(pictures.slice(1).map((picture) => [picture.recordedAt, picture])).values(),
];

test.each(SEEDS)(
  'a rebuild makes the tables that following has made, byte for byte, seed %i',
  async (seed) => {
    const chance = new Chance(200 + seed);
    let views = await stage.open();
    for (let move = 0; move < 2 * MOVES; move += 1) {
      await live1(chance);
      if (chance.is(0.5)) await stage.caughtUp(views);
      if (chance.is(0.9)) continue;
      await views.close();
      views = await stage.open();
    }
    await stage.caughtUp(views);
    await views.close();
    const { world, store } = stage;
    const { events } = await rebuildViews({ world, store, file: stage.file('rebuilt.sqlite') });
    expect(events).toBe(stage.scribe.written.length);
    expect(dumpOf(stage.file('rebuilt.sqlite'))).toEqual(dumpOf(stage.file()));
  },
);

/** What an auditor finds who reads the whole log. */
async function audited() {
  const head = await stage.store.head();
  const check = ViewsCheck.open(stage.file());
  if (typeof check === 'string') throw new Error(check);
  for await (const page of stage.store.since(null, new AbortController().signal)) {
    check.tell(page);
    if (page.at(-1)?.position === head) break;
  }
  const found = check.compare();
  check.close();
  return found;
}

test.each(SEEDS)('an auditor finds nothing wrong with views that have followed, seed %i', async (seed) => {
  const chance = new Chance(300 + seed);
  const views = await stage.open();
  for (let move = 0; move < MOVES; move += 1) {
    await live1(chance);
    if (chance.is(0.5)) await stage.caughtUp(views);
  }
  await views.close();
  const sound = { isAhead: false, isDamaged: false, differences: [] };
  expect(await audited()).toMatchObject(sound);
  await live1(chance);
  expect(await audited(), 'views that stay behind').toMatchObject(sound);
});

test('any subtree, to any depth, in pages of any size is what recursion finds', async () => {
  const chance = new Chance(7);
  for (let move = 0; move < MOVES; move += 1) await live1(chance, ['vm-a']);
  const views = await stage.open(':memory:');
  const picture = retold('vm-a').pictures.at(-1) as Picture;
  for (const { id } of picture.snapshots) {
    for (const depth of [0, 1, 3]) {
      const wish = { root: id, depth, implicit: chance.is(0.5) };
      same(treeIn(views, 'vm-a', wish, 1 + chance.below(9)), treeOf(picture, wish), id);
    }
    same(treeIn(views, 'vm-a', { root: id }), treeOf(picture, { root: id }), id);
  }
});

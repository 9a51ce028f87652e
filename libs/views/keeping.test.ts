import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MemoryDisk, openMemoryStore, openSqliteStore } from '#event-store';
import { Refusal, type VmEvent } from '#ledger';
import { rebuildViews } from './rebuild.ts';
import { Chance } from './story/chance.ts';
import { live } from './story/lives.ts';
import { dumpOf } from './story/dump.ts';
import { PATIENCE_MS, Stage } from './story/open.ts';
import { create, register, Scribe, success } from './story/scribe.ts';
import { openViews } from './views.ts';
import { Keeper } from './write/keeper.ts';

let directory: string;
let stage: Stage;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'snapledger-views-'));
  stage = new Stage(directory);
  await taken('a', 'b', 'c');
});
afterEach(async () => {
  await stage.close();
  rmSync(directory, { recursive: true });
});

/** Snapshots of the machine `vm`, one after the other. */
async function taken(...ids: string[]): Promise<void> {
  const { scribe } = stage;
  await scribe.ask('vm', register('vm'));
  for (const id of ids) {
    await scribe.ask('vm', create(id));
    await scribe.ask('vm', success(scribe.vm('vm')));
  }
}

const idsIn = (views: Awaited<ReturnType<typeof openViews>>): string[] =>
  views.lineage('vm', { pageSize: 100 }).nodes.map(({ id }) => id);

test('what a dying process had not written yet is told by the log again', async () => {
  const views = await stage.open();
  await taken('d');
  await stage.caughtUp(views);
  const left = stage.file('left.sqlite');
  for (const part of ['', '-wal']) copyFileSync(`${stage.file()}${part}`, `${left}${part}`);
  const written = dumpOf(left);
  const next = await stage.open(left);
  expect(idsIn(next)).toEqual(idsIn(views));
  expect(stage.notices).toEqual([]);
  await next.close();
  await views.close();
  expect(dumpOf(left)).not.toEqual(written);
  expect(dumpOf(left)).toEqual(dumpOf(stage.file()));
});

test('the next start goes on where the last one has stopped', async () => {
  await (await stage.open()).close();
  const before = dumpOf(stage.file());
  await taken('d');
  const views = await stage.open();
  expect(idsIn(views)).toEqual(['a', 'b', 'c', 'd']);
  expect(stage.notices).toEqual([]);
  await views.close();
  expect(dumpOf(stage.file())).not.toEqual(before);
});

test('a process that is killed leaves views that the next one goes on with', async () => {
  const views = await stage.open();
  await taken('d');
  await stage.caughtUp(views);
  const [file, wal] = [stage.file(), `${stage.file()}-wal`];
  writeFileSync(stage.file('killed.sqlite'), readFileSync(file));
  writeFileSync(stage.file('killed.sqlite-wal'), readFileSync(wal));
  await views.close();
  expect(idsIn(await stage.open(stage.file('killed.sqlite')))).toEqual(['a', 'b', 'c', 'd']);
  expect(stage.notices).toEqual([]);
});

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  'is no database': (file) => writeFileSync(file, 'garbage, but a lot of it\n'.repeat(1_000)),
  'is cut off': (file) => truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096),
  'has a page overwritten': (file) => {
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, Buffer.alloc(3 * 4096, 0x5a), 0, 3 * 4096, 4096 * 3);
    closeSync(descriptor);
  },
  'is of another application': (file) => {
    writeFileSync(file, '');
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE snapshots (id)');
    db.close();
  },
  'is of another version of the program': (file) => changed(file, 'PRAGMA user_version = 1'),
  'has lost an index': (file) => changed(file, 'DROP INDEX stages_key'),
  'is empty': (file) => writeFileSync(file, ''),
};

function changed(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

test.each(Object.keys(DAMAGES))('a file that %s is dropped and built anew', async (damage) => {
  await (await stage.open()).close();
  const before = dumpOf(stage.file());
  DAMAGES[damage]?.(stage.file());
  const views = await stage.open();
  expect(idsIn(views)).toEqual(['a', 'b', 'c']);
  expect(stage.notices.map(({ what }) => what)).toEqual(damage === 'is empty' ? [] : ['rebuilding']);
  await views.close();
  expect(dumpOf(stage.file())).toEqual(before);
});

test('views of another log, or of a later state of this one, are dropped and built anew', async () => {
  await (await stage.open()).close();
  for (const ids of [['x', 'y', 'z'], ['x'], ['x', 'y', 'z', 'v', 'w']]) {
    const other = openMemoryStore(stage.world, new MemoryDisk());
    const scribe = new Scribe(other);
    await scribe.ask('vm', register('vm'));
    for (const id of ids) {
      await scribe.ask('vm', create(id));
      await scribe.ask('vm', success(scribe.vm('vm')));
    }
    const views = await stage.open(stage.file(), other);
    expect(idsIn(views)).toEqual(ids);
    await views.close();
    await other.close();
  }
});

test('an event of a newer program stops the views where it stands; what came before is shown', async () => {
  const position = await stage.store.head();
  await (await stage.open()).close();
  await stage.scribe.write('vm-vm', [{ type: 'SnapshotTeleported', data: {} } as unknown as VmEvent]);
  await stage.scribe.ask('other', register('other'));
  for (const file of [stage.file(), stage.file('built-with-it.sqlite')]) {
    const views = await openViews({ world: stage.world, store: stage.store, file });
    for (let turns = 0; views.state() !== 'log-newer'; turns += 1) {
      expect(turns).toBeLessThan(1_000_000);
      await stage.world.turn();
    }
    expect(views.position()).toBe(position);
    expect(idsIn(views)).toEqual(['a', 'b', 'c']);
    expect(views.vm('other')).toBeNull();
    await views.close();
  }
});

test('what turns out to be broken while somebody looks is built anew', async () => {
  const ending = new AbortController();
  let changes = 0;
  const keeper = new Keeper({
    ...{ world: stage.world, store: stage.store, file: stage.file(), signal: ending.signal },
    onNotice: (notice) => void stage.notices.push(notice),
    onChange: () => (changes += 1),
  });
  const run = keeper.run();
  const shows = async (): Promise<void> => {
    for (let turns = 0; keeper.position !== (await stage.store.head()); turns += 1) {
      expect(turns).toBeLessThan(1_000_000);
      await stage.world.turn();
    }
  };
  await shows();
  keeper.doubt(new Error('a bug, and not the file'));
  expect(keeper.showing).not.toBeNull();
  keeper.doubt(Object.assign(new Error('database disk image is malformed'), { errcode: 11 }));
  expect(keeper.showing).toBeNull();
  await shows();
  expect(keeper.showing?.lineages.tree('vm', { pageSize: 9 }, '0').nodes).toHaveLength(3);
  expect(stage.notices).toMatchObject([{ what: 'trouble', why: expect.stringContaining('malformed') }]);
  expect(changes).toBeGreaterThan(1);
  ending.abort();
  await run;
});

test('a second process waits until the first has let go of the file', async () => {
  const first = await stage.open();
  const second = await openViews({
    ...{ world: stage.world, store: stage.store, file: stage.file() },
    onNotice: (notice) => void stage.notices.push(notice),
  });
  expect(() => second.vm('vm')).toThrow(Refusal);
  await expect(rebuildViews({ world: stage.world, store: stage.store, file: stage.file() })).rejects.toThrow(
    'another process has the views open',
  );
  expect(idsIn(first)).toEqual(['a', 'b', 'c']);
  await first.close();
  await stage.caughtUp(second);
  expect(idsIn(second)).toEqual(['a', 'b', 'c']);
  expect(stage.notices[0]).toMatchObject({ what: 'trouble', error: { kind: 'locked' } });
  await second.close();
});

test('however long the file could not be had, the views are there within 5 s after it can', async () => {
  const first = await stage.open();
  const { clock } = stage.world;
  const [waitsMs, isLate] = [[] as number[], Promise.withResolvers<void>()];
  let isHeld = true;
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (waitsMs.push(ms) === 12) isLate.resolve();
    await clock.sleep(isHeld ? 1 : ms, signal);
  };
  const world = { ...stage.world, clock: { ...clock, sleep } };
  const second = await openViews({ world, store: stage.store, file: stage.file() });
  await isLate.promise;
  expect(Math.max(...waitsMs)).toBeLessThan(5_000);
  isHeld = false;
  await first.close();
  await stage.caughtUp(second);
  await second.close();
});

test('a long log is built while others have their turn, and refuses questions until it is done', async () => {
  const chance = new Chance(1);
  for (let move = 0; move < 3_000; move += 1) await live(stage.scribe, `vm-${chance.below(5)}`, chance);
  const views = await openViews({ world: stage.world, store: stage.store, file: stage.file() });
  expect([views.state(), views.position()]).toEqual(['rebuilding', null]);
  expect(() => views.vm('vm')).toThrow(Refusal);
  await stage.caughtUp(views);
  expect([views.state(), views.position()]).toEqual(['following', await stage.store.head()]);
  await views.close();
  expect(views.state()).toBe('stopped');
});

test('who waits for a position is told when it is there, or that it is not', async () => {
  const views = await stage.open();
  const next = String(Number(await stage.store.head()) + 1);
  expect(await views.reached(next, 1)).toBe(false);
  const waiting = views.reached(next, PATIENCE_MS);
  const changed = views.changed(new AbortController().signal);
  await taken('d');
  expect(await waiting).toBe(true);
  await changed;
  const given = new AbortController();
  const never = views.changed(given.signal);
  given.abort();
  await never;
});

test('closing in the middle of everything is no trouble', async () => {
  const views = await openViews({ world: stage.world, store: stage.store, file: stage.file() });
  await views.close();
  await views.close();
  expect(idsIn(await stage.open())).toEqual(['a', 'b', 'c']);
});

test('an empty log is shown as one, and rebuilt from no events', async () => {
  const empty = openMemoryStore(stage.world, new MemoryDisk());
  const views = await stage.open(stage.file('empty.sqlite'), empty);
  expect([views.state(), views.position()]).toEqual(['following', null]);
  expect(views.vms({ pageSize: 1 })).toEqual({ vms: [], totalSize: 0 });
  await views.close();
  const { world } = stage;
  expect(await rebuildViews({ world, store: empty, file: stage.file('empty.sqlite') })).toEqual({
    events: 0,
  });
  await empty.close();
});

test('the log may be a file, and what is claimed in its registry moves the position too', async () => {
  const store = await openSqliteStore(stage.world, join(directory, 'ledger.sqlite'));
  const scribe = new Scribe(store);
  await scribe.ask('vm', register('vm'));
  await scribe.ask('vm', create('a'));
  const views = await stage.open(stage.file('of-a-file.sqlite'), store);
  expect(idsIn(views)).toEqual(['a']);
  const release = { type: 'ClaimReleased', data: { vmId: 'vm' } } as unknown as VmEvent;
  await scribe.write('registry', [release]);
  await stage.caughtUp(views, store);
  expect(views.position()).toBe(await store.head());
  await views.close();
  expect(idsIn(await stage.open(stage.file('of-a-file.sqlite'), store))).toEqual(['a']);
  expect(stage.notices).toEqual([]);
  await store.close();
});

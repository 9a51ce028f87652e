import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Members } from '../show/members.ts';
import { BEFORE_ALL } from '../moments.ts';
import { Chance } from '../story/chance.ts';
import { HEADS, Heads } from './heads.ts';
import { USED } from './roll.ts';
import { ROLLS, Rolls } from './rolls.ts';
import { Tables } from './tables.ts';

/** One VM's rolls, and what stood on the list after each version. */
function open() {
  const db = new DatabaseSync(':memory:');
  for (const { tables } of [HEADS, ROLLS]) db.exec(tables);
  const tables = new Tables(db, [...HEADS.indexes, ...ROLLS.indexes]);
  const heads = new Heads(tables);
  const rolls = new Rolls(tables, heads);
  const head = () => heads.of('vm');
  const stood = new Map<number, readonly number[]>();
  const members = new Set<number>();
  return {
    ...{ db, tables, stood, members },
    change: (version: number, added: readonly number[], struck: readonly number[] = []) => {
      const at = { head: head(), version };
      for (const member of struck) {
        rolls.strike(at, USED, member);
        members.delete(member);
      }
      for (const member of added) {
        rolls.add(at, USED, member);
        members.add(member);
      }
      stood.set(
        version,
        [...members].sort((a, b) => a - b),
      );
    },
    now: () => rolls.members(head(), USED),
    /** As after a restart: everything is read from the file again. */
    forget: () => {
      tables.search();
      heads.forget();
    },
  };
}

const placeAt = (version: number) => ({ vmId: 'vm', vm: 1, version, moment: BEFORE_ALL });

function compareAt(list: ReturnType<typeof open>, versions: (version: number) => boolean): void {
  list.tables.search();
  const shown = new Members(list.db);
  for (const [version, members] of list.stood) {
    if (!versions(version)) continue;
    expect(shown.after(placeAt(version), USED, 0, 1_000_000), `at ${version}`).toEqual(members);
    expect(shown.count(placeAt(version), USED)).toBe(members.length);
    const middle = members[Math.floor(members.length / 2)] ?? 0;
    const next = members.filter((member) => member > middle).slice(0, 3);
    expect(shown.after(placeAt(version), USED, middle, 3), `at ${version} after ${middle}`).toEqual(next);
  }
}

test.each([1, 2, 3])('a roll tells who was on it at every version, seed %i', (seed) => {
  const chance = new Chance(seed);
  const list = open();
  for (let version = 1; version <= 6_000; version += 1) {
    const present = [...list.members];
    const absent = chance.of(Array.from({ length: 8 }, () => 1 + chance.below(version)));
    if (chance.is(0.45)) list.change(version, [version]);
    else if (chance.is(0.5) && absent !== undefined && !list.members.has(absent))
      list.change(version, [absent]);
    else if (chance.is(0.002))
      list.change(
        version,
        [],
        present.sort((a, b) => a - b),
      );
    else list.change(version, [], present.slice(0, 1 + chance.below(2)));
    if (chance.is(0.01)) list.forget();
    if (version % 500 === 0) expect(list.now()).toEqual(list.stood.get(version));
  }
  compareAt(list, (version) => version % 37 === 0);
});

test('many may leave and come back with one event', () => {
  const list = open();
  const all = Array.from({ length: 3_000 }, (_, at) => at + 1);
  for (const member of all) list.change(member, [member]);
  list.change(3_001, [], all);
  list.change(3_002, all);
  list.change(3_003, [], all.slice(0, 2_000));
  list.forget();
  list.change(3_004, all.slice(0, 10));
  compareAt(list, (version) => version >= 2_998);
});

/** Rows that a look at a version may have to pass. */
const rowsMet = (db: DatabaseSync, version: number): number =>
  Number(
    db
      .prepare(
        `SELECT count(*) AS count FROM rolls WHERE member <= ?1 AND version <= ?1 AND epoch =
           (SELECT max(epoch) FROM rolls WHERE epoch <= ?1)`,
      )
      .get(version)?.['count'],
  );

test('a look at any version of a rolling window does not meet those that are long gone', () => {
  const list = open();
  const kept = 50;
  for (let version = 1; version <= 20_000; version += 1) {
    list.change(version, [version], version > kept ? [version - kept] : []);
  }
  list.tables.search();
  for (let version = 100; version <= 20_000; version += 977) {
    expect(rowsMet(list.db, version), `at ${version}`).toBeLessThan(20 * kept + 1_100);
  }
  const rows = Number(list.db.prepare('SELECT count(*) AS count FROM rolls').get()?.['count']);
  expect(rows).toBeLessThan(2.5 * 20_000);
  compareAt(list, (version) => version % 997 === 0);
});

test('a look does not meet all that came and went between two others', () => {
  const list = open();
  list.change(1, [1]);
  list.change(2, [2]);
  list.change(3, [3]);
  for (let version = 4; version <= 10_000; version += 2) {
    list.change(version, [], [2]);
    list.change(version + 1, [2]);
  }
  list.tables.search();
  for (let version = 100; version <= 10_000; version += 977) {
    expect(rowsMet(list.db, version), `at ${version}`).toBeLessThan(1_100);
  }
  compareAt(list, (version) => version % 997 === 0);
});

test('copies are made when what was added late is in the way of those who look back', () => {
  const list = open();
  for (let version = 1; version <= 2_000; version += 1)
    list.change(version, version % 2 === 0 ? [] : [version]);
  for (let version = 2_001; version <= 3_000; version += 1) list.change(version, [2 * (version - 2_000)]);
  list.tables.search();
  const epochs = list.db.prepare('SELECT DISTINCT epoch FROM rolls').all();
  expect(epochs.length).toBeGreaterThan(1);
  compareAt(list, (version) => version % 97 === 0);
});

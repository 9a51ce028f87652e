/* The real ledger, store, worker and hypervisor in worlds where everything goes wrong. See run.ts for more of them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allTouches } from '../points/document.ts';
import { NOT_SIMULATED, SELDOM_SIMULATED } from '../points/not-passed.ts';
import { faultRows } from './fault-table.ts';
import { FAULTS } from './faults.ts';
import { MISLEADS, MUTANTS } from './mutants.ts';
import { KEPT_AWAY, SECOND_CAME, simulate } from './simulate.ts';
import { LONG } from './size.ts';
import { reportOf, type Simulated } from './simulated.ts';
import { touchFamily } from './point-faults.ts';
import { KIND_RULES, KINDS } from './point-kinds.ts';
import { histories, livedThrough } from './short-histories.ts';
import { Tally } from './tally.ts';

const SEEDS = 800;
/** As many of these are long: what seldom happens does in those. */
const LONG_SEEDS = 400;
/** Of these only those with views are tried, until somebody notices. */
const MISLED_SEEDS = 1_200;
describe(`in ${SEEDS} simulated worlds`, () => {
  const tally = new Tally();
  let failed: Simulated[] = [];

  beforeAll(async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1)
      tally.add(await simulate(seed, { isLong: seed <= LONG_SEEDS }));
    failed = tally.failed;
  });
  afterAll(() => console.log(tally.summary()));

  test('no invariant is ever broken', () => {
    expect(failed.map((result) => reportOf(result)).join('\n\n')).toBe('');
  });

  test('everything that can go wrong does', () => {
    expect(FAULTS.filter((fault) => !tally.faults.has(fault))).toEqual([]);
  });

  test('every fault point of the table is passed, but those that no simulated world has', async () => {
    const passed = new Set(tally.begun.keys());
    for (const history of histories(2))
      for (const touch of (await livedThrough(history, null)).result.begun.keys())
        passed.add(touchFamily(touch));
    const names = allTouches().map(({ name }) => name);
    const strange = [...passed].filter((touch) => !names.includes(touch) || touch in NOT_SIMULATED);
    expect(strange).toEqual([]);
    const exceptions = { ...NOT_SIMULATED, ...SELDOM_SIMULATED };
    expect(names.filter((touch) => !passed.has(touch) && !(touch in exceptions))).toEqual([]);
  });

  test('every kind of fault comes, at many points each, and nowhere else than where it can', () => {
    const rows = faultRows(tally.begun, tally.struck);
    for (const kind of KINDS) {
      const struck = rows.filter((row) => (row.struck[kind] ?? 0) > 0);
      expect(struck.length, kind).toBeGreaterThan(3);
      for (const { touch } of struck)
        expect(KIND_RULES[kind].canCome(touch), `${kind} at ${touch}`).toBe(true);
    }
  });

  test('a second ledgerd comes beside the first one, and one of them is kept away from its machine', () => {
    expect(tally.outcomes.get(SECOND_CAME)).toBeGreaterThan(100);
    expect(tally.outcomes.get(KEPT_AWAY)).toBeGreaterThan(100);
  });

  test('snapshots are created, loaded and deleted, and some of each fail', () => {
    const outcomes = [...tally.outcomes.keys()];
    for (const wanted of [
      'SnapshotCreated',
      'SnapshotLoaded',
      'SnapshotDeleted',
      'CreateFailed',
      'LoadFailed',
      'SnapshotPinned',
      'SnapshotDiscarded',
      'DeleteFailed',
    ])
      expect(
        outcomes.some((outcome) => outcome.startsWith(wanted)),
        wanted,
      ).toBe(true);
  });
});

test('the same seed gives the same world, to the letter', async () => {
  for (const seed of [1, 7, 42, 2 ** 40 + 5, 100]) {
    const [one, other] = [await simulate(seed), await simulate(seed)];
    expect(other.traceHash).toBe(one.traceHash);
    expect(one.traceLines).toBeGreaterThan(100);
  }
});

test('different seeds give different worlds', async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 10; seed += 1) hashes.add((await simulate(seed)).traceHash);
  expect(hashes.size).toBe(10);
});

describe('it is noticed when the hypervisor', () => {
  test.each(Object.entries(MUTANTS))('%s', async (_name, meddle) => {
    const found: string[] = [];
    for (let seed = 1; seed <= SEEDS && found.length === 0; seed += 1) {
      const { violation } = await simulate(seed, { meddle, isLong: seed % 2 === 0 });
      if (violation) found.push(`${violation.name} ${violation.message}`);
    }
    expect(found[0]).toMatch(/^Violation /);
  });
});

describe('it is noticed when the views', () => {
  test.each(Object.entries(MISLEADS))('%s', async (_name, mislead) => {
    const found: string[] = [];
    const { viewsEvery } = LONG;
    for (let seed = viewsEvery; seed <= MISLED_SEEDS && found.length === 0; seed += viewsEvery) {
      const { violation } = await simulate(seed, { mislead, isLong: true });
      if (violation) found.push(`${violation.name} ${violation.message}`);
    }
    expect(found[0]).toMatch(/^Violation I11/);
  });
});

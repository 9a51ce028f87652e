/* The real ledger, store, worker and hypervisor in worlds where everything goes wrong. See run.ts for more of them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAULT_POINTS } from '#hypervisor';
import { FAULTS } from './faults.ts';
import { MISLEADS, MUTANTS } from './mutants.ts';
import { reportOf, simulate, type Simulated, VIEWS_EVERY } from './simulate.ts';
import { Tally } from './tally.ts';

const SEEDS = 300;
/** Of these only those with views are tried, until somebody notices. */
const MISLED_SEEDS = 1_200;
/** Points outside of the hypervisor, which lists its own. */
const OTHER_POINTS = [
  'store.before-commit',
  'store.after-commit',
  'worker.before-report',
  'worker.after-report',
];
describe(`in ${SEEDS} simulated worlds`, () => {
  const tally = new Tally();
  let failed: Simulated[] = [];

  beforeAll(async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) tally.add(await simulate(seed));
    failed = tally.failed;
  });
  afterAll(() => console.log(tally.summary()));

  test('no invariant is ever broken', () => {
    expect(failed.map((result) => reportOf(result)).join('\n\n')).toBe('');
  });

  test('everything that can go wrong does', () => {
    expect(FAULTS.filter((fault) => !tally.faults.has(fault))).toEqual([]);
  });

  test('every named point of the program is passed, and it dies at most of them', () => {
    const points = [...FAULT_POINTS, ...OTHER_POINTS];
    expect(points.filter((point) => !tally.points.has(point))).toEqual([]);
    const deadly = points.filter((point) => (tally.points.get(point)?.killed ?? 0) > 0);
    expect(deadly.length).toBeGreaterThan(points.length / 2);
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
  for (const seed of [1, 7, 42, 2 ** 40 + 5, 2 * VIEWS_EVERY]) {
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
      const { violation } = await simulate(seed, { meddle });
      if (violation) found.push(`${violation.name} ${violation.message}`);
    }
    expect(found[0]).toMatch(/^Violation /);
  });
});

describe('it is noticed when the views', () => {
  test.each(Object.entries(MISLEADS))('%s', async (_name, mislead) => {
    const found: string[] = [];
    for (let seed = VIEWS_EVERY; seed <= MISLED_SEEDS && found.length === 0; seed += VIEWS_EVERY) {
      const { violation } = await simulate(seed, { mislead });
      if (violation) found.push(`${violation.name} ${violation.message}`);
    }
    expect(found[0]).toMatch(/^Violation I11/);
  });
});

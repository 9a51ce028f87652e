/* Mistakes that somebody could make in the product. `npm run mutants` lets the simulation look for all of them. */
import { expect, test } from 'vitest';
import { ALL_MUTANTS } from './all.ts';
import { chase } from './chase.ts';
import { complaints } from './compiled.ts';

/** Some that few worlds are enough for. */
const QUICK = [
  'a new snapshot descends from the newest one, whatever was loaded since',
  'no answer is taken for no',
  'a snapshot is taken off all disks but one',
  'images are not repaired after their QEMU has died',
];
const QUICK_SEEDS = { from: 1, count: 200 };

test('every mistake can still be made: it applies in one place, changes something, and compiles', () => {
  expect(complaints(ALL_MUTANTS)).toEqual([]);
});

test('no two mistakes have the same name', () => {
  const names = ALL_MUTANTS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test.each(QUICK)('it is noticed when %s', async (quick) => {
  const mutant = ALL_MUTANTS.find(({ name }) => name === quick);
  if (!mutant) throw new Error(`there is no such mutant: ${quick}`);
  expect((await chase(mutant, QUICK_SEEDS)).seed).not.toBeNull();
});

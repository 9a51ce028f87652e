/* Every history of two commands, and some of the deaths in it. `npm run sim:exhaustive` takes three, and all deaths. */
import { expect, test } from 'vitest';
import { type History, histories, livedThrough, strikesOf, wordsOf } from './short-histories.ts';

const LENGTH_MAX = 2;
/** One death of so many: a prime, so that over all histories every point has its turn. */
const EVERY = 17;
/** Against what hangs: it is a thousand worlds of pure computing. */
const TIMEOUT_MS = 300_000;

test(
  'whoever dies in a short history, and wherever, no invariant is broken',
  { timeout: TIMEOUT_MS },
  async () => {
    const wrong: string[] = [];
    let deaths = 0;
    let at = 0;
    for (const history of histories(LENGTH_MAX)) {
      const { result, fate } = await livedThrough(history, null);
      if (result.violation) wrong.push(`${wordsOf(history, null)}: ${result.violation.message}`);
      for (const strike of strikesOf(history, fate.passed)) {
        at += 1;
        if (at % EVERY !== 0) continue;
        const lived = await livedThrough(history, strike);
        if (lived.fate.hasStruck) deaths += 1;
        const { violation } = lived.result;
        if (violation) wrong.push(`${wordsOf(history, strike)}: ${violation.message}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(deaths).toBeGreaterThan((at / EVERY) * 0.9);
  },
);

test('who dies at a point dies there, in the command and at the pass that was meant', async () => {
  const history: History = { isOn: true, letters: ['create inside', 'load'] };
  const { fate } = await livedThrough(history, null);
  const strikes = strikesOf(history, fate.passed);
  expect(new Set(strikes.map(({ command }) => command))).toEqual(new Set([0, 1]));
  const strike = strikes.find(({ point, victim }) => point === 'say.after-transaction' && victim === 'qemu');
  expect(strike?.command).toBe(0);
  const { result } = await livedThrough(history, strike ?? null);
  expect(result.outcomes.get('SnapshotLoaded') ?? 0).toBeLessThanOrEqual(1);
  expect(result.violation).toBe(null);
});

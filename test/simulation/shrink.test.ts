/* What is said of a world in which something went wrong. */
import { expect, test } from 'vitest';
import type { Hypervisor } from '#hypervisor';
import { MUTANTS } from './mutants.ts';
import { historyOf, shrunk, TRIES_MAX } from './shrink.ts';
import { simulate } from './simulate.ts';
import type { Simulated } from './simulated.ts';

const { 'forgets to load': meddle = (whole: Hypervisor) => whole } = MUTANTS;

async function firstOfMany(): Promise<Simulated> {
  for (let seed = 2; ; seed += 1) {
    const result = await simulate(seed, { meddle });
    if (result.violation && result.happened.length > 5) return result;
  }
}

test('a shorter history goes wrong in the same way, and its names are enough to have it again', async () => {
  const first = await firstOfMany();
  const found = await shrunk(first, { meddle });
  const { result, without, tries } = found;
  expect(result.happened.length).toBeLessThan(first.happened.length);
  expect(result.happened.filter((name) => without.includes(name))).toEqual([]);
  expect(tries).toBeLessThanOrEqual(TRIES_MAX);
  const kind = first.violation?.message.split(':')[0] ?? '';
  expect(result.violation?.message).toMatch(new RegExp(`^${kind}:`));
  const again = await simulate(first.seed, { meddle, without: new Set(without) });
  expect(again.traceHash).toBe(result.traceHash);
  expect(historyOf(found, 'sim')).toContain(
    `sim --seed ${first.seed} --trace --without '${without.join(',')}'`,
  );
});

import { expect, test } from 'vitest';
import type { Hypervisor } from '#hypervisor';
import { unborn } from '#ledger';
import { realWorld } from '#world';
import { boundedLooks, LOOKS_AT_ONCE_MAX, LOOKS_WAITING_MAX } from './looks.ts';

/** Looks that end when the test says so, and a clock on which a long time has gone by at once when it says so. */
function stage() {
  const ends: (() => void)[] = [];
  const sleepers: (() => void)[] = [];
  const look = (): Promise<never> => new Promise((resolve) => ends.push(() => resolve({} as never)));
  const hypervisor = { status: look, plan: look, discover: look, survey: look } as unknown as Hypervisor;
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      sleepers.push(resolve);
      signal?.addEventListener('abort', () => resolve());
    });
  const clock = { now: () => 0, monotonic: () => 0, sleep };
  const { status } = boundedLooks(hypervisor, { clock });
  const ask = (count: number) =>
    Array.from({ length: count }, () => status(unborn()).then(() => 'seen', String));
  return { ends, sleepers, ask };
}

const settled = async (): Promise<void> => {
  const { turn } = realWorld();
  for (let turns = 0; turns < 10; turns += 1) await turn();
};

test('only so many look at once and only so many wait; who comes later is told to come again', async () => {
  const { ends, ask } = stage();
  const looks = ask(LOOKS_AT_ONCE_MAX + LOOKS_WAITING_MAX);
  expect(await Promise.all(ask(1))).toEqual([expect.stringContaining('too many machines')]);
  await settled();
  expect(ends).toHaveLength(LOOKS_AT_ONCE_MAX);
  for (let ended = 0; ended < looks.length; ended += 1) {
    ends[ended]?.();
    await settled();
  }
  expect(new Set(await Promise.all(looks))).toEqual(new Set(['seen']));
});

test('nobody waits longer than that, and a place that comes too late is given on', async () => {
  const { ends, sleepers, ask } = stage();
  const looks = ask(LOOKS_AT_ONCE_MAX);
  await settled();
  const late = ask(1);
  await settled();
  for (const wake of sleepers) wake();
  expect(await Promise.all(late)).toEqual([expect.stringContaining('too many machines')]);
  ends[0]?.();
  await settled();
  const next = ask(1);
  await settled();
  for (const end of ends) end();
  expect(await Promise.all([...looks, ...next])).toEqual(Array(LOOKS_AT_ONCE_MAX + 1).fill('seen'));
});

/* ledgerd or QEMU killed with -9 anywhere in a request: what does the next one make of it? `npm run chaos` is the long form. */
import { afterAll, describe, expect, test } from 'vitest';
import { allTouches } from '../points/document.ts';
import { NOT_KILLED_AT } from '../points/not-passed.ts';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { Chance } from '../simulation/chance.ts';
import { sideOf, touchFamily } from '../simulation/point-faults.ts';
import { deathsOf, drawn, randomDeaths } from './deaths.ts';
import { type ChaosKind, KINDS } from './kinds.ts';
import { closeStage, type Death, die, openStage, rehearse } from './round.ts';

/** Of each kind, by chance: at a fault point, of which `npm run chaos` takes all, and of QEMU at a random moment. */
const DEATHS = 2;
/** Of the control: a create on two disks is half-done at some points only. */
const CONTROL_DEATHS_MAX = 12;

const chance = new Chance(Date.now());

afterAll(cleanUp);

async function deathsIn(kind: ChaosKind): Promise<Death[]> {
  const stage = await openStage(kind.disksCount);
  const all = deathsOf(kind, await rehearse(kind, stage));
  await closeStage(stage);
  return all;
}

const passed = new Set<string>();

describe.runIf(needsQemu())('whoever dies, the disks are what the ledger says afterwards, after', () => {
  test.each(KINDS)('a $name', { timeout: 300_000 }, async (kind) => {
    const stage = await openStage(kind.disksCount);
    const rehearsed = await rehearse(kind, stage);
    for (const point of rehearsed.passed.keys()) passed.add(touchFamily(sideOf(point)[1]));
    const all = deathsOf(kind, rehearsed);
    expect(all.length).toBeGreaterThan(40);
    for (const death of [
      ...drawn(all, DEATHS, chance),
      ...randomDeaths([[kind, rehearsed]], DEATHS, chance),
    ]) {
      const { ended, wrong } = await die(stage, death);
      expect(wrong, `${death.victim} at ${JSON.stringify(death.when)}, ${ended}`).toEqual([]);
    }
    await closeStage(stage);
  });

  test('these requests pass every fault point of the table, but those that are said not to be', () => {
    const names = allTouches().map(({ name }) => name);
    expect([...passed].filter((touch) => !names.includes(touch))).toEqual([]);
    expect(names.filter((touch) => !passed.has(touch) && !(touch in NOT_KILLED_AT))).toEqual([]);
  });
});

describe.runIf(needsQemu())('who looks for what a death leaves', () => {
  test('finds it when nobody recovers what was half-done', { timeout: 300_000 }, async () => {
    const [kind] = KINDS;
    if (!kind) throw new Error('there are no requests');
    const half = (await deathsIn(kind)).filter(
      ({ when }) => 'point' in when && /transaction|act/.test(when.point),
    );
    const found: string[] = [];
    for (const death of drawn(half, CONTROL_DEATHS_MAX, chance)) {
      if (found.length > 0) break;
      const stage = await openStage(kind.disksCount, 'forgetful');
      found.push(...(await die(stage, death)).wrong.map(({ verdict }) => verdict));
      await closeStage(stage);
    }
    expect(found).not.toEqual([]);
  });
});

/* ledgerd or QEMU killed with -9 anywhere in a request: what does the next one make of it? `npm run chaos` is the long form. */
import { afterAll, describe, expect, test } from 'vitest';
import { bootSubject } from '../crash/machine.ts';
import { allTouches } from '../points/document.ts';
import { NOT_KILLED_AT } from '../points/not-passed.ts';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { sideOf, touchFamily } from '../simulation/point-faults.ts';
import { deathsOf, drawn } from './deaths.ts';
import { KINDS } from './kinds.ts';
import { die, rehearse } from './round.ts';

/** Of each kind, by chance; `npm run chaos` takes all. */
const DEATHS = 2;

afterAll(cleanUp);

const passed = new Set<string>();

describe.runIf(needsQemu())('whoever dies, the disks are what the ledger says afterwards, after', () => {
  test.each(KINDS)('a $name', { timeout: 300_000 }, async (kind) => {
    const subject = await bootSubject(kind.disksCount);
    const rehearsed = await rehearse(kind, subject);
    for (const point of rehearsed.keys()) passed.add(touchFamily(sideOf(point)[1]));
    const all = deathsOf(kind, rehearsed);
    expect(all.length).toBeGreaterThan(40);
    for (const death of drawn(all, DEATHS)) {
      const { ended, wrong } = await die(subject, death);
      expect(wrong, `${death.victim} at ${death.point} (${death.nth}), ${ended}`).toEqual([]);
    }
    await subject.qemu.kill();
  });

  test('these requests pass every fault point of the table, but those that are said not to be', () => {
    const names = allTouches().map(({ name }) => name);
    expect([...passed].filter((touch) => !names.includes(touch))).toEqual([]);
    expect(names.filter((touch) => !passed.has(touch) && !(touch in NOT_KILLED_AT))).toEqual([]);
  });
});

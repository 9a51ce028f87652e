/*
 * npm run chaos -- --kinds merge --points 20: kill -9 of ledgerd and of QEMU at every fault point that is passed in each
 * kind of request, the first and the last time it is passed; then so many kills at random ones.
 */
import { parseArgs } from 'node:util';
import { bootSubject } from '../crash/machine.ts';
import { cleanUp } from '../qemu/rig.ts';
import { deathsOf, drawn } from './deaths.ts';
import { type ChaosKind, KINDS } from './kinds.ts';
import { CONVERGED_WITHIN_MS, die, type Outcome, rehearse } from './round.ts';
import { chaosTable } from './table.ts';

const { values } = parseArgs({
  options: {
    /** Those whose names begin so; all when absent. */
    kinds: { type: 'string', default: '' },
    /** At most so many of each kind, drawn by chance; all when absent. */
    points: { type: 'string' },
    random: { type: 'string', default: '0' },
  },
});

const outcomes: Outcome[] = [];

async function chaosOf(kind: ChaosKind, deathsMax: number | null): Promise<void> {
  let subject = await bootSubject(kind.disksCount);
  const all = deathsOf(kind, await rehearse(kind, subject));
  const deaths = deathsMax === null ? all : drawn(all, deathsMax);
  console.error(`${kind.name}: ${deaths.length} deaths of ${all.length}`);
  for (const death of deaths) {
    const outcome = await die(subject, death);
    outcomes.push(outcome);
    if (outcome.wrong.length === 0) continue;
    console.log(`${kind.name}, ${death.victim} at ${death.point} (${death.nth}): ${outcome.ended}`);
    console.log(outcome.wrong.map((words) => `  ${words}`).join('\n'));
    await subject.qemu.kill();
    subject = await bootSubject(kind.disksCount); // Nothing follows from what comes after something wrong.
  }
  await subject.qemu.kill();
}

const kinds = KINDS.filter(({ name }) => name.startsWith(values.kinds));
for (const kind of kinds) await chaosOf(kind, values.points === undefined ? null : Number(values.points));
for (let left = Number(values.random); left > 0; left -= kinds.length)
  for (const kind of drawn(kinds, left)) await chaosOf(kind, 1);
await cleanUp();
console.log(chaosTable(outcomes));
const late = outcomes.filter(({ convergedMs }) => convergedMs > CONVERGED_WITHIN_MS).length;
const wrong = outcomes.filter((outcome) => outcome.wrong.length > 0).length;
console.log(
  `${outcomes.length} deaths, ${wrong} left something wrong, ${late} took longer than ${CONVERGED_WITHIN_MS / 1000} s`,
);
process.exitCode = wrong === 0 && late === 0 ? 0 : 1;

/*
 * npm run chaos: kill -9 of ledgerd and of QEMU at every fault point that is passed in each kind of request, the first
 * and the last time it is passed.
 *
 *   --kinds merge    only requests whose names begin so          --points 20   at most so many deaths of each kind
 *   --from 700       goes on where another run was ended         --lanes 1     so many at a time
 *   --random 300     instead: so many kills of QEMU at random moments of every request on two and on four disks
 *   --control        the same with a ledgerd that gives up what it finds half-done: ends well when that shows
 *   --seed 7         draws the same by chance as another run     --json        prints one object
 */
import { parseArgs } from 'node:util';
import { cleanUp } from '../qemu/rig.ts';
import { Chance } from '../simulation/chance.ts';
import { deathsOf, drawn, randomDeaths } from './deaths.ts';
import { ALL_KINDS, KINDS } from './kinds.ts';
import { dieAll, rehearseAll } from './lanes.ts';
import type { Death, Outcome } from './round.ts';
import { chaosTable, verdicts } from './table.ts';

const { values } = parseArgs({
  options: {
    kinds: { type: 'string', default: '' },
    points: { type: 'string' },
    from: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    random: { type: 'string' },
    control: { type: 'boolean', default: false },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    json: { type: 'boolean', default: false },
  },
});
const { control, json } = values;
/** Of a control, when nothing else is said. */
const CONTROL_DEATHS = 30;
const PROGRESS_EVERY = 20;

const [seed, lanes, from] = [Number(values.seed), Number(values.lanes), Number(values.from)];
const random = values.random ?? (control && values.points === undefined ? `${CONTROL_DEATHS}` : undefined);
const deathsMax = values.points === undefined ? Infinity : Number(values.points);

async function everyDeath(): Promise<Death[]> {
  const kinds = (random === undefined ? KINDS : ALL_KINDS).filter(({ name }) =>
    name.startsWith(values.kinds),
  );
  const rehearsals = await rehearseAll(kinds, lanes);
  const chance = new Chance(seed);
  if (random !== undefined) return randomDeaths(rehearsals, Number(random), chance);
  return rehearsals.flatMap(([kind, rehearsed]) => {
    const all = deathsOf(kind, rehearsed);
    return deathsMax < all.length ? drawn(all, deathsMax, chance) : all;
  });
}

const beganMs = performance.now();
const minutes = (): string => ((performance.now() - beganMs) / 60_000).toFixed(1);
const deaths = (await everyDeath()).slice(from - 1);
const all = from - 1 + deaths.length;
console.error(`${all} deaths, seed ${seed}${from > 1 ? `, from ${from}` : ''}`);

const outcomes: Outcome[] = [];
const done = new Set<number>();
/** Where another run goes on: all before are done. */
const next = (): number => {
  let first = 0;
  while (done.has(first)) first += 1;
  return from + first;
};

/** All others are told to end as well, or die with us. */
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    console.error(`ended early: go on with --from ${next()}`);
    process.exit(1);
  });

function tell(outcome: Outcome, index: number): void {
  outcomes.push(outcome);
  done.add(index);
  const { kind, victim, when } = outcome.death;
  if (outcome.wrong.length > 0) {
    const moment = 'point' in when ? `at ${when.point} (${when.nth})` : `after ${when.afterMs.toFixed(1)} ms`;
    const words = outcome.wrong.map((wrong) => `  ${wrong.verdict}: ${wrong.words}`).join('\n');
    console.error(`WRONG ${from + index}: ${kind.name}, ${victim} ${moment}: ${outcome.ended}\n${words}`);
  }
  if (done.size % PROGRESS_EVERY > 0) return;
  const wrong = outcomes.filter((one) => one.wrong.length > 0).length;
  console.error(`${from - 1 + done.size} of ${all}: ${kind.name}, ${minutes()} min, ${wrong} wrong`);
}

await dieAll(deaths, {
  lanes,
  recovery: control ? 'forgetful' : 'recovering',
  onOutcome: tell,
});
await cleanUp();

const wrong = outcomes.filter((outcome) => outcome.wrong.length > 0).length;
const found = verdicts(outcomes);
const slowestMs = Math.round(Math.max(0, ...outcomes.map(({ convergedMs }) => convergedMs)));
const isWell = control ? wrong > 0 : wrong === 0;
const summary = { deaths: outcomes.length, wrong, found, slowestMs, seed, isWell };
if (json) console.log(JSON.stringify(summary));
else {
  console.log(chaosTable(outcomes));
  console.log(`${outcomes.length} deaths in ${minutes()} min, ${wrong} left something wrong; seed ${seed}`);
  console.log(
    Object.entries(found)
      .map(([name, count]) => `${name}: ${count}`)
      .join(' · '),
  );
  console.log(`everybody was back within ${slowestMs} ms`);
  if (control) console.log(isWell ? 'the control fails, as it must' : 'THE CONTROL DOES NOT FAIL');
}
process.exitCode = isWell ? 0 : 1;

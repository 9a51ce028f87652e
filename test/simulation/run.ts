/* Simulated worlds by hand: `--seeds 1000 --from 1`, or one of them in full: `--seed 7 --trace`. */
import { parseArgs } from 'node:util';
import { reportOf, simulate } from './simulate.ts';
import { Tally } from './tally.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

/** Worlds between two signs of life. */
const PROGRESS_EVERY = 1_000;
const REPORTS_MAX = 3;
const LINES_SHOWN = 60;

async function one(seed: number): Promise<boolean> {
  const result = await simulate(seed, { isTraced: values.trace });
  if (values.trace) console.log(result.trace.join('\n'));
  console.log(`${result.traceHash}  ${result.traceLines} lines, ${result.eventsRecorded} events recorded`);
  console.log(reportOf(result, values.trace ? 0 : LINES_SHOWN));
  return result.violation === null;
}

async function many(from: number, count: number): Promise<boolean> {
  const tally = new Tally();
  const beganNs = process.hrtime.bigint();
  for (let seed = from; seed < from + count; seed += 1) {
    tally.add(await simulate(seed));
    if ((seed - from + 1) % PROGRESS_EVERY === 0) console.error(tally.summary());
  }
  const seconds = Number(process.hrtime.bigint() - beganNs) / 1e9;
  console.log(tally.tables());
  for (const { seed, violation } of tally.failed) console.log(`seed ${seed}: ${violation?.message}`);
  for (const result of tally.failed.slice(0, REPORTS_MAX)) console.log(`\n${reportOf(result, LINES_SHOWN)}`);
  console.log(`\n${tally.summary()}, ${seconds.toFixed(1)} s`);
  return tally.failed.length === 0;
}

const isFine =
  values.seed === undefined
    ? await many(Number(values.from), Number(values.seeds))
    : await one(Number(values.seed));
process.exitCode = isFine ? 0 : 1;

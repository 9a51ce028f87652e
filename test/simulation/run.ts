/*
 * Simulated worlds by hand: `--seeds 1000 --from 1`, on `--workers` threads; or one in full: `--seed 7 --trace`,
 * `--without` what its shortest history does without. `--long`: no short ones among them. `--journey`: all go that way.
 * `--mutant` puts something broken in, to see what is said of it.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { detourNamed } from './detours.ts';
import { type FaultRow, faultRows, faultTable, seldomHit } from './fault-table.ts';
import { MUTANTS } from './mutants.ts';
import { historyOf, shrunk } from './shrink.ts';
import { simulate } from './simulate.ts';
import { reportOf, type Simulated, type SimulateOptions } from './simulated.ts';
import { Tally } from './tally.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    without: { type: 'string', default: '' },
    journey: { type: 'string', default: '' },
    mutant: { type: 'string', default: '' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});

/** Worlds between two signs of life. */
const PROGRESS_EVERY = 1_000;
const REPORTS_MAX = 3;
const LINES_SHOWN = 60;
const SELDOM_SHOWN = 40;

const isMutant = values.mutant !== '';
/** What all worlds of this run have in common. */
const common: SimulateOptions = {
  isLong: values.long,
  ...(values.journey !== '' && { journey: detourNamed(values.journey) }),
  ...(isMutant && { meddle: mutantNamed(values.mutant) }),
};
const command = [
  'npm run sim --',
  values.long && '--long',
  values.journey !== '' && `--journey '${values.journey}'`,
  isMutant && `--mutant '${values.mutant}'`,
]
  .filter(Boolean)
  .join(' ');

function mutantNamed(name: string): NonNullable<SimulateOptions['meddle']> {
  const found = MUTANTS[name];
  if (found) return found;
  throw new Error(`there is no mutant "${name}", but: ${Object.keys(MUTANTS).join(', ')}`);
}

const git = (...args: string[]): string =>
  spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).stdout?.trim() ?? '';

/** Which program this was: a seed is worth nothing without it. */
function commit(): string {
  const isDirty = git('status', '--porcelain') !== '';
  return `${git('rev-parse', '--short=12', 'HEAD') || 'unknown'}${isDirty ? ' and what is not committed' : ''}`;
}

/** How it ended, and how little of it would have been enough. */
async function told(result: Simulated, linesMax: number): Promise<string> {
  const report = `${reportOf(result, linesMax)}\nat commit ${commit()}`;
  if (values.without !== '') return report;
  return `${report}\n${historyOf(await shrunk(result, common), command)}`;
}

async function one(seed: number): Promise<boolean> {
  const without = new Set(values.without.split(','));
  const result = await simulate(seed, { ...common, isTraced: values.trace, without });
  if (values.trace) console.log(result.trace.join('\n'));
  console.log(`${result.traceHash}  ${result.traceLines} lines, ${result.eventsRecorded} events recorded`);
  const linesMax = values.trace ? 0 : LINES_SHOWN;
  console.log(result.violation ? await told(result, linesMax) : reportOf(result, linesMax));
  return result.violation === null;
}

/** Every n-th seed, for the thread that it is told to. */
interface Share {
  readonly from: number;
  readonly until: number;
  readonly step: number;
}

async function work({ from, until, step }: Share): Promise<void> {
  Error.stackTraceLimit = 0; // Many errors are thrown, and few are looked at: `--seed` shows where from.
  for (let seed = from; seed < until; seed += step) {
    const result = await simulate(seed, { ...common, isHashed: false });
    // oxlint-disable-next-line require-post-message-target-origin -- a thread, no window
    parentPort?.postMessage(result);
  }
}

async function many(from: number, count: number, workersCount: number): Promise<boolean> {
  const tally = new Tally();
  const beganNs = process.hrtime.bigint();
  let worlds = 0;
  const add = (result: Simulated): void => {
    tally.add(result);
    worlds += 1;
    if (result.violation) console.error(`seed ${result.seed}: ${result.violation.message}`);
    if (worlds % PROGRESS_EVERY === 0) console.error(tally.summary());
  };
  const shares = Array.from({ length: workersCount }, (_, at): Share => ({
    ...{ from: from + at, until: from + count, step: workersCount },
  }));
  await Promise.all(
    shares.map((share) =>
      once(
        new Worker(new URL(import.meta.url), { workerData: share, argv: process.argv.slice(2) }).on(
          'message',
          add,
        ),
        'exit',
      ),
    ),
  );
  if (worlds !== count) throw new Error(`${count - worlds} worlds are missing: a thread has died`);
  const seconds = Number(process.hrtime.bigint() - beganNs) / 1e9;
  const rows = faultRows(tally.begun, tally.struck);
  const seldom = seldomHit(rows, tally.worldsCount);
  if (values.json) return inJson(tally, rows, seconds);
  console.log(tally.tables());
  console.log(`\n${faultTable(rows)}`);
  console.log(`\n${seldom.length} cells of it would be hit less than 100 times in 100,000 worlds`);
  if (seldom.length > 0)
    console.log(
      seldom
        .slice(0, SELDOM_SHOWN)
        .map((cell) => `  ${cell}`)
        .join('\n'),
    );
  const failed = tally.failed.toSorted((one, other) => one.seed - other.seed);
  for (const { seed, violation } of failed) console.log(`seed ${seed}: ${violation?.message}`);
  for (const result of failed.slice(0, REPORTS_MAX)) console.log(`\n${await told(result, LINES_SHOWN)}`);
  console.log(`\n${tally.summary()}, ${seconds.toFixed(1)} s`);
  return failed.length === 0;
}

function inJson(tally: Tally, points: readonly FaultRow[], seconds: number): boolean {
  const violations = tally.failed.map(({ seed, violation }) => ({ seed, why: violation?.message }));
  const faults = Object.fromEntries(tally.faults);
  console.log(JSON.stringify({ worlds: tally.worldsCount, seconds, violations, faults, points }));
  return violations.length === 0;
}

async function main(): Promise<void> {
  const isFine =
    values.seed === undefined
      ? await many(Number(values.from), Number(values.seeds), Number(values.workers))
      : await one(Number(values.seed));
  process.exitCode = isFine ? 0 : 1;
}

await (isMainThread ? main() : work(workerData as Share));

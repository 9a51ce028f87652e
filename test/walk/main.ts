/* npm run walk -- --walks 200 --steps 50 --from 1: that many random walks on real QEMU, each from its own seed. */
import { parseArgs } from 'node:util';
import { cleanUp } from '../qemu/rig.ts';
import { type Ends, walk, WalkFailed } from './walk.ts';

const { values } = parseArgs({
  options: {
    walks: { type: 'string', default: '200' },
    steps: { type: 'string', default: '50' },
    from: { type: 'string', default: '1' },
    /** How many at the same time. */
    beside: { type: 'string', default: '2' },
  },
});
const [walks, steps, from, beside] = [values.walks, values.steps, values.from, values.beside].map(Number) as [
  number,
  number,
  number,
  number,
];

/** Of the walks that begin as this one does, the shortest that fails: mostly nothing was wrong a step earlier. */
async function shortest(seed: number, failed: WalkFailed): Promise<WalkFailed> {
  let [fine, found] = [0, failed];
  for (let steps = failed.steps - 1; steps > fine; steps = Math.floor((fine + found.steps) / 2)) {
    const failure = await failureOf(seed, steps);
    if (!failure) fine = steps;
    else if (failure.steps < found.steps) found = failure;
  }
  return found;
}

async function failureOf(seed: number, steps: number, ends?: Ends): Promise<WalkFailed | null> {
  try {
    for (const [end, count] of await walk(seed, steps)) ends?.set(end, (ends.get(end) ?? 0) + count);
    return null;
  } catch (error) {
    if (error instanceof WalkFailed) return error;
    throw error;
  }
}

const ends: Ends = new Map();
const failed: number[] = [];
let next = from;

async function walkOn(): Promise<void> {
  while (next < from + walks) {
    const seed = (next += 1) - 1;
    const failure = await failureOf(seed, steps, ends);
    if (!failure) {
      console.error(`seed ${seed}: ${steps} operations`);
      continue;
    }
    failed.push(seed);
    console.error(`${failure.message}\n\nlooking for the shortest walk that fails so …`);
    console.log(`${(await shortest(seed, failure)).message}\n`);
  }
}

const beganNs = process.hrtime.bigint();
await Promise.all(Array.from({ length: beside }, walkOn));
await cleanUp();
const seconds = Number(process.hrtime.bigint() - beganNs) / 1e9;
for (const [end, count] of [...ends].toSorted()) console.log(`${String(count).padStart(6)}  ${end}`);
console.log(`${walks} walks of ${steps} operations, ${failed.length} failed, ${seconds.toFixed(0)} s`);
for (const seed of failed) console.log(`seed ${seed} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;

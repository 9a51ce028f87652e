/*
 * npm run soak -- --minutes 8 --seed 7 --json: one ledgerd on several machines, callers that never rest, a fault every
 * two seconds. Ends with 0 when nothing was lost, nothing has grown and `ledgerctl verify` finds nothing.
 */
import { parseArgs } from 'node:util';
import { cleanUp } from '../qemu/rig.ts';
import type { Sample } from './samples.ts';
import { EVENT_MAX_BYTES, GROWTH_MAX, soak } from './soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '8' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
/** Nothing is left: directories go with us, and all others die with us. */
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
console.error(`${values.minutes} minutes, seed ${seed}`);
const report = await soak({
  ...{ forMs: Number(values.minutes) * 60_000, seed },
  onProgress: (words) => console.error(words),
}).finally(cleanUp);

const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
const row = ([name, count]: readonly [string, number]): string => `${String(count).padStart(6)} × ${name}`;
const lifeWords = ({ life, atMs, rssBytes, heapBytes, descriptors, walBytes }: Sample): string =>
  `life ${life}, until ${Math.round(atMs / 1_000)} s: ${mb(rssBytes)} RSS, ${mb(heapBytes)} heap, ${descriptors} descriptors, ${mb(walBytes)} WAL`;

function told(): string[] {
  const { growth, faults, ends, last, events, bytesPerEvent, walMaxBytes, wrong } = report;
  const grown = growth
    ? [
        `RSS ${mb(growth.rssBytes)} (at most ${mb(GROWTH_MAX.rssBytes)})`,
        `heap ${mb(growth.heapBytes)} (${mb(GROWTH_MAX.heapBytes)})`,
        `descriptors ${growth.descriptors.toFixed(2)} (${GROWTH_MAX.descriptors})`,
      ].join(', ')
    : 'the last life was too short to tell';
  return [
    ...Object.entries(ends).map(row),
    ...Object.entries(faults).map(row),
    ...last.map(lifeWords),
    `growth a minute: ${grown}`,
    `${events} events, ${bytesPerEvent} bytes each (at most ${EVENT_MAX_BYTES}), the WAL never above ${mb(walMaxBytes)}`,
    ...wrong.map((words) => `WRONG: ${words}`),
    wrong.length === 0 ? `nothing is wrong; seed ${seed}` : `${wrong.length} things are wrong; seed ${seed}`,
  ];
}

console.log(values.json ? JSON.stringify(report) : told().join('\n'));
process.exitCode = report.wrong.length === 0 ? 0 : 1;

/*
 * npm run sim:exhaustive -- --length 3 --every 1: every short history, and in each every death of ledgerd and of QEMU at
 * every fault point that it passes. `--every 7` takes every seventh death.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type History, histories, livedThrough, strikesOf, wordsOf } from './short-histories.ts';

const { values } = parseArgs({
  options: {
    length: { type: 'string', default: '3' },
    /** One death of so many. */
    every: { type: 'string', default: '1' },
    /** Only histories whose words hold this. */
    only: { type: 'string', default: '' },
    workers: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
  },
});

const PROGRESS_EVERY = 1_000;
const SHOWN_MAX = 20;

/** Every n-th world, for the thread that it is told to. */
interface Share {
  readonly at: number;
  readonly step: number;
}

interface Told {
  readonly words: string;
  readonly hasStruck: boolean;
  readonly why: string | null;
}

/** What one history and its deaths come to; the history without a death comes first. */
async function live(history: History, share: Share, tell: (told: Told) => void): Promise<void> {
  const { result, fate } = await livedThrough(history, null);
  if (share.at === 0) tell({ words: wordsOf(history, null), hasStruck: false, why: whyOf(result) });
  for (const [index, strike] of strikesOf(history, fate.passed).entries()) {
    if (index % share.step !== share.at) continue;
    const lived = await livedThrough(history, strike);
    const { hasStruck } = lived.fate;
    tell({ words: wordsOf(history, strike), hasStruck, why: whyOf(lived.result) });
  }
}

const whyOf = ({ violation }: { readonly violation: Error | null }): string | null =>
  violation?.message ?? null;

async function work({ at, step }: Share): Promise<void> {
  Error.stackTraceLimit = 0;
  const every = Number(values.every);
  const chosen = [...histories(Number(values.length))].filter((history) =>
    wordsOf(history, null).includes(values.only),
  );
  for (const history of chosen)
    await live(history, { at: at * every, step: step * every }, (told) => {
      // oxlint-disable-next-line require-post-message-target-origin -- a thread, no window
      parentPort?.postMessage(told);
    });
}

async function main(): Promise<void> {
  const counts = { worlds: 0, deaths: 0 };
  const failed: Told[] = [];
  const add = (told: Told): void => {
    counts.worlds += 1;
    if (told.hasStruck) counts.deaths += 1;
    if (told.why !== null) failed.push(told);
    if (counts.worlds % PROGRESS_EVERY === 0) console.error(summary());
  };
  const summary = (): string => {
    const { user, system } = process.cpuUsage();
    const seconds = ((user + system) / 1e6).toFixed(0);
    return `${counts.worlds} worlds, ${counts.deaths} deaths, ${failed.length} violations, ${seconds} s of CPU`;
  };
  const step = Number(values.workers);
  await Promise.all(
    Array.from({ length: step }, async (_, at) => {
      const thread = new Worker(new URL(import.meta.url), { workerData: { at, step } });
      const [code] = (await once(thread.on('message', add), 'exit')) as [number];
      if (code !== 0) throw new Error('a thread has died');
    }),
  );
  if (values.json) console.log(JSON.stringify({ ...counts, violations: failed }));
  else {
    for (const { words, why } of failed.slice(0, SHOWN_MAX)) console.log(`${words}\n    ${why}`);
    console.log(summary());
  }
  process.exitCode = failed.length === 0 ? 0 : 1;
}

await (isMainThread ? main() : work(workerData as Share));

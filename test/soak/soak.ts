/* One ledgerd, several machines, callers that never rest, and a fault every two seconds: what is left in the end? */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { makeDirectory } from '../qemu/rig.ts';
import { Chance } from '../simulation/chance.ts';
import { Caller } from './caller.ts';
import { type Fault, FAULTS, type Shaken, strike, type Struck } from './faults.ts';
import { Ledgerd } from './ledgerd.ts';
import { SoakMachine } from './machine.ts';
import { type Measured, growthPerMinute, type Sample, sampleOf, sizeOf } from './samples.ts';
import { readAllTheTime } from './reader.ts';
import { settled } from './settle.ts';
import { Watcher } from './watcher.ts';

/** Disks of each machine. */
const MACHINES = [2, 1, 4, 2];
const WATCHERS = 3;
const FAULT_EVERY_MS = 2_000;
const SAMPLE_EVERY_MS = 1_000;
/** Twice in each window of which the least is taken. */
const SWEEP_TICKS = 7;
/** ledgerd dies so often in the first half, and not at all in the second: only a long life shows what grows. */
const LEDGERD_DIES_EVERY_MS = 45_000;
const LEDGERD_DIES_FIRST_MS = 5_000;
/** Of its last life. */
const WARM_UP_MS = 60_000;
/** Below that nothing can be said of growth. */
const STEADY_MIN_MS = 60_000;

/** What may grow in a minute of work. A log and its indexes in memory grow by right: by some hundred bytes an event. */
export const GROWTH_MAX: Readonly<Record<Measured, number>> = {
  heapBytes: 2 * 1024 * 1024,
  rssBytes: 6 * 1024 * 1024,
  descriptors: 0.5,
};
/** ledgerd lets it grow to 64 MiB, and a reader may keep it from being begun anew for a while. */
const WAL_MAX_BYTES = 96 * 1024 * 1024;
/** Of the log, an event with its indexes. */
export const EVENT_MAX_BYTES = 8 * 1024;

export interface SoakReport {
  readonly seed: number;
  readonly events: number;
  readonly lives: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly ends: Readonly<Record<string, number>>;
  /** A minute, in the steady part of the last life; null when that was too short to tell. */
  readonly growth: Readonly<Record<Measured, number>> | null;
  /** Of each life at its end. */
  readonly last: readonly Sample[];
  readonly walMaxBytes: number;
  readonly bytesPerEvent: number;
  /** Empty when all is as it must be. */
  readonly wrong: readonly string[];
}

export interface SoakOptions {
  readonly forMs: number;
  readonly seed: number;
  readonly onProgress?: (words: string) => void;
}

export async function soak({ forMs, seed, onProgress = () => undefined }: SoakOptions): Promise<SoakReport> {
  const chance = new Chance(seed);
  const ledgerd = await Ledgerd.start(makeDirectory());
  const watchers = Array.from({ length: WATCHERS }, () => new Watcher(ledgerd));
  const [work, watch] = [new AbortController(), new AbortController()];
  const following = watchers.map((watcher) => watcher.follow(watch.signal));
  const machines: SoakMachine[] = [];
  for (const [index, count] of MACHINES.entries())
    machines.push(await SoakMachine.start(ledgerd, `m${index}`, count));
  const callers = machines.map((machine) => new Caller(ledgerd, machine, chance));
  const working = [
    ...callers.map((caller) => caller.work(work.signal)),
    readAllTheTime(ledgerd, machines, work.signal),
  ];
  const shaken = { ledgerd, machines, watchers };
  const telling = (said: string): void =>
    onProgress(`${said}, ${watchers[0]?.seen} events, ${ledgerd.lives} lives`);
  const { struck, samples } = await shakenFor(shaken, { forMs, chance, onProgress: telling });
  work.abort();
  await Promise.all(working);
  const { wrong, events } = await settled(shaken, callers, async () => {
    watch.abort();
    await Promise.all(following);
  });
  const grown = growthOf(samples);
  const bytesPerEvent = Math.round(sizeOf(join(ledgerd.data, 'ledger.sqlite')) / events);
  const report = {
    ...{ seed, events, lives: ledgerd.lives, faults: counted(struck), growth: grown, bytesPerEvent },
    ends: Object.fromEntries(summed(callers.map(({ ends }) => ends))),
    last: [...Map.groupBy(samples, ({ life }) => life).values()].flatMap((those) => those.at(-1) ?? []),
    walMaxBytes: Math.max(0, ...samples.map(({ walBytes }) => walBytes)),
  };
  const tooMuch = [
    ...(bytesPerEvent > EVENT_MAX_BYTES ? [`an event takes ${bytesPerEvent} bytes`] : []),
    ...(report.walMaxBytes > WAL_MAX_BYTES ? [`the WAL has grown to ${report.walMaxBytes} bytes`] : []),
  ];
  return { ...report, wrong: [...struck.flatMap((one) => one.wrong), ...wrong, ...grew(grown), ...tooMuch] };
}

interface Shaking {
  readonly forMs: number;
  readonly chance: Chance;
  readonly onProgress: (words: string) => void;
}

async function shakenFor(
  shaken: Shaken,
  { forMs, chance, onProgress }: Shaking,
): Promise<{ struck: Struck[]; samples: Sample[] }> {
  const beganMs = performance.now();
  const elapsedMs = (): number => performance.now() - beganMs;
  const samples: Sample[] = [];
  const striking: Promise<Struck>[] = [];
  let diesAtMs = LEDGERD_DIES_FIRST_MS;
  for (let tick = 1; elapsedMs() < forMs; tick += 1) {
    if (tick % SWEEP_TICKS === 0) await shaken.ledgerd.sweep();
    const sample = await sampleOf(shaken.ledgerd, elapsedMs());
    if (sample) samples.push(sample);
    if (tick % (FAULT_EVERY_MS / SAMPLE_EVERY_MS) === 0) {
      const isDue = elapsedMs() > diesAtMs && elapsedMs() < forMs / 2;
      if (isDue) diesAtMs = elapsedMs() + LEDGERD_DIES_EVERY_MS;
      const fault: Fault = isDue ? 'ledgerd dies' : (chance.pick(FAULTS.slice(1)) ?? 'a QEMU dies');
      striking.push(strike(shaken, fault, chance));
    }
    if (tick % 10 === 0) onProgress(`${Math.round(elapsedMs() / 1_000)} s of ${Math.round(forMs / 1_000)}`);
    await setTimeout(Math.max(0, tick * SAMPLE_EVERY_MS - elapsedMs()));
  }
  return { struck: await Promise.all(striking), samples };
}

function counted(struck: readonly Struck[]): Record<string, number> {
  const kinds = Map.groupBy(struck, ({ fault, isDone }) => (isDone ? fault : `${fault}, in vain`));
  return Object.fromEntries([...kinds].map(([name, those]) => [name, those.length]));
}

function growthOf(samples: readonly Sample[]): Record<Measured, number> | null {
  const life = samples.at(-1)?.life;
  const own = samples.filter((sample) => sample.life === life);
  const bornMs = own[0]?.atMs ?? 0;
  const steady = own.filter(({ atMs }) => atMs - bornMs > WARM_UP_MS);
  if ((steady.at(-1)?.atMs ?? 0) - (steady[0]?.atMs ?? 0) < STEADY_MIN_MS) return null;
  return {
    rssBytes: growthPerMinute(steady, 'rssBytes'),
    heapBytes: growthPerMinute(steady, 'heapBytes'),
    descriptors: growthPerMinute(steady, 'descriptors'),
  };
}

const grew = (growth: Record<Measured, number> | null): string[] =>
  (Object.keys(GROWTH_MAX) as Measured[]).flatMap((what) => {
    const value = growth?.[what] ?? 0;
    return value > GROWTH_MAX[what] ? [`${what} grow by ${value.toFixed(1)} a minute`] : [];
  });

function summed(counts: readonly ReadonlyMap<string, number>[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const [name, count] of counts.flatMap((one) => [...one]))
    sums.set(name, (sums.get(name) ?? 0) + count);
  return [...sums].toSorted(([one], [other]) => one.localeCompare(other));
}

/* What ledgerd takes up while it works, and whether that grows. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Ledgerd } from './ledgerd.ts';

export interface Sample {
  /** Which life of ledgerd's, from 1 on. */
  readonly life: number;
  /** Since the soak began. */
  readonly atMs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly descriptors: number;
  readonly walBytes: number;
}

export type Measured = 'rssBytes' | 'heapBytes' | 'descriptors';

/** Null while it is being killed. */
export async function sampleOf(ledgerd: Ledgerd, atMs: number): Promise<Sample | null> {
  const { lives: life, pid, url } = ledgerd;
  try {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      ...{ life, atMs },
      rssBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024,
      heapBytes: Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(metrics)?.[1]),
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      walBytes: sizeOf(join(ledgerd.data, 'ledger.sqlite-wal')),
    };
  } catch {
    return null; // One of the next samples finds its successor.
  }
}

export const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Each holds a sample after a sweep: what counts is what is left then. */
const WINDOW_MS = 15_000;

/** The least of each window. */
function floors(samples: readonly Sample[], what: Measured): { atMs: number; value: number }[] {
  const windows = Map.groupBy(samples, ({ atMs }) => Math.floor(atMs / WINDOW_MS));
  return [...windows].map(([window, those]) => ({
    atMs: window * WINDOW_MS,
    value: Math.min(...those.map((sample) => sample[what])),
  }));
}

/** How much it grows in a minute: the median of the slopes between any two windows, which no outlier bends. */
export function growthPerMinute(samples: readonly Sample[], what: Measured): number {
  const points = floors(samples, what);
  const slopes = points.flatMap((one, index) =>
    points.slice(index + 1).map((other) => (other.value - one.value) / ((other.atMs - one.atMs) / 60_000)),
  );
  return slopes.toSorted((a, b) => a - b)[Math.floor(slopes.length / 2)] ?? 0;
}

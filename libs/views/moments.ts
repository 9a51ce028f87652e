import type { Confidence } from '#ledger';
import { SNAPSHOT_STATUSES, type SnapshotStanding } from './shapes.ts';

/** Moments in one row. A longer strip is rewritten at more cost, a shorter one makes more rows. */
export const STRIP_MOMENTS = 16;

/** Where there is no snapshot and no operation: numbers count from 1. */
export const NONE = 0;

export type Counts = Readonly<Record<SnapshotStanding, number>>;

/** What a VM was right after one of its events. */
export interface Moment {
  /** RFC 3339 with a fixed width: such texts compare like the instants they name. */
  readonly recordedAt: string;
  /** The number of the current snapshot, or NONE. */
  readonly current: number;
  readonly confidence: Confidence;
  /** The number of the open operation, or NONE. */
  readonly operation: number;
  /** How many snapshots stood where. */
  readonly counts: Counts;
}

/** Before a VM's first event. */
export const BEFORE_ALL: Moment = {
  recordedAt: '',
  current: NONE,
  confidence: 'known',
  operation: NONE,
  counts: countsOf([]),
};

/** The strip that holds the moment of a version. */
export const stripOf = (version: number): number => Math.floor((version - 1) / STRIP_MOMENTS);

/** Its line in that strip. */
export const lineOf = (version: number): number => (version - 1) % STRIP_MOMENTS;

/**
 * A line of a strip. Joined, not put together bit by bit: it waits until its strip is full, and a chain of bits takes
 * eight times the memory.
 */
export function writeMoment({ recordedAt, current, confidence, operation, counts }: Moment): string {
  const { pending, complete, deleting, retired, lost, suspect, deleted, failed } = counts;
  const standing = [pending, complete, deleting, retired, lost, suspect, deleted, failed];
  return [recordedAt, current, confidence, operation, ...standing].join(' ');
}

export function readMoment(line: string): Moment {
  const [recordedAt = '', current, confidence, operation, ...counts] = line.split(' ');
  return {
    recordedAt,
    current: Number(current),
    confidence: confidence as Confidence, // Written by `writeMoment`.
    operation: Number(operation),
    counts: countsOf(counts.map(Number)),
  };
}

/** When the moment of a line was recorded, without reading the rest. */
export const recordedAtOf = (line: string): string => line.slice(0, line.indexOf(' '));

function countsOf(counts: readonly number[]): Counts {
  const pairs = SNAPSHOT_STATUSES.map((status, index) => [status, counts[index] ?? 0]);
  return Object.fromEntries(pairs) as Record<SnapshotStanding, number>;
}

import type { ChainEnd, SealedEvent, StoredEvent } from './envelope.ts';

/**
 * Events that `since` hands over at once, and that a long stream is read by. So few that they are done with before
 * the collector of young garbage comes: with 2,000, a replay spends a tenth of its time on carrying them along.
 */
export const PAGE_EVENTS_MAX = 250;

/** Where a stream stands. */
export interface StreamHead extends ChainEnd {
  /** Of its last event; '' when there is none. */
  readonly recordedAt: string;
}

export interface StreamSlice {
  /** In order, without gaps. */
  readonly events: readonly StoredEvent[];
  /** Of the whole stream, also when `events` ends before it. */
  readonly head: StreamHead;
}

/** Where the ledger remembers. Every adapter passes `test/contract/event-store.test.ts`. */
export interface EventStore {
  /** Whether other processes may append while this one has it open. */
  readonly isShared: boolean;

  /**
   * The events of one stream from `fromVersion` (1) on, at most `eventsMax` (all), and the stream's head.
   * A stream that does not exist has version 0 and no events.
   */
  read(stream: string, fromVersion?: number, eventsMax?: number): Promise<StreamSlice>;

  /**
   * Records all of the events or none, and resolves with their positions when they are on disk, not before.
   * Throws `VersionConflict` when the stream is not at `expectedVersion`, and `StoreTrouble`.
   */
  append(stream: string, expectedVersion: number, events: readonly SealedEvent[]): Promise<string[]>;

  /**
   * Every event after `position` (null or `0`: from the beginning) in the one global order, in batches of at most
   * `PAGE_EVENTS_MAX`; then waits for more until `signal` aborts or the store is closed.
   * Throws a `StoreTrouble` of kind `foreign` when the position lies beyond the end: it is of another log.
   */
  since(position: string | null, signal: AbortSignal): AsyncIterable<readonly StoredEvent[]>;

  /** The last position; null when nothing was ever recorded. */
  head(): Promise<string | null>;

  /** Records what was asked for before, then lets go of everything. Harmless when repeated. */
  close(): Promise<void>;
}

/** Somebody else appended first. Nothing was recorded. */
export class VersionConflict extends Error {
  override readonly name = 'VersionConflict';
  readonly stream: string;
  readonly expected: number;
  readonly actual: number;
  constructor(stream: string, expected: number, actual: number) {
    super(`${stream} is at version ${actual}, not ${expected}`);
    this.stream = stream;
    this.expected = expected;
    this.actual = actual;
  }
}

/**
 * locked: another process has the store. damaged, foreign, newer: the file must not be touched by this program.
 * full: no space left. unavailable: it does not answer, is closed or has too much to do.
 */
export type StoreTroubleKind = 'locked' | 'damaged' | 'foreign' | 'newer' | 'full' | 'unavailable';

/** The store cannot do its work. The message tells an operator what to do. */
export class StoreTrouble extends Error {
  override readonly name: string = 'StoreTrouble';
  readonly kind: StoreTroubleKind;
  /** `unknown`: what was to be recorded may stand in the log all the same; only a look can tell. */
  readonly effect: 'none' | 'unknown';
  constructor(
    kind: StoreTroubleKind,
    message: string,
    { effect = 'none', cause }: { effect?: 'none' | 'unknown'; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.kind = kind;
    this.effect = effect;
  }
}

const POSITION = /^(0|[1-9]\d*)$/;

/** Whether a text can be a position of some store. */
export const isPosition = (text: string): boolean => POSITION.test(text);

/** Negative when `a` comes before `b` in the log, positive when after. Both are positions of one store. */
export function comparePositions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length; // Decimal without leading zeros: longer is greater.
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

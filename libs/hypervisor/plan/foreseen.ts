import type { Report } from '#ledger';

/** Whether the machine is made to stand still, and for how long in all. */
export interface Stops {
  readonly machine: boolean;
  /** A rough guess, for people; 0 when it does not stop. */
  readonly estimatedMs: number;
}

/** What an operation would do if nothing comes in between. */
export interface Foreseen {
  /** What is done, in words, in order. */
  readonly commands: readonly string[];
  readonly filesCreated: readonly string[];
  readonly filesUnlinked: readonly string[];
  /** Snapshots whose data goes, beside the one that was asked for. */
  readonly snapshotsDiscarded: readonly string[];
  /** How much is copied or written. */
  readonly bytes: number;
  readonly stops: Stops;
  /** What would be reported in the end. */
  readonly report: Report;
}

export interface Plan extends Foreseen {
  /** A digest of what it rests on: the same as long as the machine stays as it is, and another one when it does not. */
  readonly basis: string;
}

import type { Envelope, Seal } from '#event-store';
import type { LineageNode, LineageView, OperationView, SnapshotView, VmView } from '#views';

/** What ledgerd answers, where it is more than one view. */

export interface Vms {
  readonly vms: readonly ShownVm[];
}

/** Conditions come from the views and from the running worker: here they are words to be shown. */
export type ShownVm = Omit<VmView, 'conditions'> & {
  readonly conditions: readonly {
    readonly type: string;
    readonly reason: string;
    readonly message: string;
  }[];
};

export interface Snapshots {
  readonly snapshots: readonly SnapshotView[];
}

/** While it is under way, the running worker says in its own words how far it is. */
export type ShownOperation = Omit<OperationView, 'phase' | 'percent'> & {
  readonly phase: string;
  readonly percent: number | null;
};

export interface Operations {
  readonly operations: readonly ShownOperation[];
}

export type Lineage = Pick<LineageView, 'vmId' | 'current' | 'nodes'>;

/** What a command would do. */
export interface ShownPlan {
  readonly hash: string;
  readonly commands: readonly string[];
  readonly filesCreated: readonly string[];
  readonly filesUnlinked: readonly string[];
  readonly snapshotsDiscarded: readonly string[];
  readonly bytes: number;
  readonly stops: { readonly machine: boolean; readonly estimatedMs: number };
  readonly tree: readonly LineageNode[];
  readonly treeSize: number;
}

export interface PlannedWork {
  readonly plan: ShownPlan;
}

/** A line of the log. */
export type LoggedEvent = Envelope & Seal;

import type {
  CaptureMode,
  Confidence,
  Consistency,
  DriftCondition,
  Labels,
  Leftover,
  MemoryFormat,
  Step,
  VmState,
} from '#ledger';

/** Where a snapshot stands. `deleted` and `failed` are where it ends; all others live. */
export const SNAPSHOT_STATUSES = [
  'pending',
  'complete',
  'deleting',
  'retired',
  'lost',
  'suspect',
  'deleted',
  'failed',
] as const;
export type SnapshotStanding = (typeof SNAPSHOT_STATUSES)[number];

/** The snapshot that the machine's present descends from, and how sure that is. */
export interface CurrentView {
  readonly snapshotId: string | null;
  readonly confidence: Confidence;
}

export interface DiskView {
  readonly device: string;
  readonly node: string;
  readonly format: string;
  readonly file: string;
  /** Null: this format has no default, every capture must say what to do with the disk. */
  readonly default: CaptureMode | null;
  /** Only of disks that the machine must not write, such as a shared image. */
  readonly readOnly?: true;
}

/** Something about a VM that its operator should know. */
export interface Condition {
  readonly type: 'Held' | DriftCondition['type'];
  readonly reason: string;
  readonly message: string;
}

export interface VmView {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly monitor: string;
  readonly guestAgent: string | null;
  readonly labels: Labels;
  readonly disks: readonly DiskView[];
  readonly current: CurrentView;
  /** The one that is under way. */
  readonly operationId: string | null;
  readonly conditions: readonly Condition[];
}

/** Where the memory is: inside a disk, or in a file of its own. */
export interface MemoryView {
  readonly mode: CaptureMode;
  readonly device?: string;
  readonly file?: string;
  readonly format?: MemoryFormat;
  readonly sizeBytes?: number;
  readonly sha256?: string;
}

export interface SnapshotDiskView {
  readonly device: string;
  readonly mode: CaptureMode;
  /** The file that holds the disk's frozen content. */
  readonly file?: string;
}

export interface SnapshotView {
  readonly id: string;
  readonly vmId: string;
  readonly name: string;
  readonly description: string;
  /** Of one that is gone: as it was in the end. */
  readonly parentId: string | null;
  /** When it was asked for. */
  readonly createdAt: string;
  readonly status: SnapshotStanding;
  /** Null until the capture is done. */
  readonly vmState: VmState | null;
  readonly memory: MemoryView;
  readonly disks: readonly SnapshotDiskView[];
  /** Null until the capture is done. */
  readonly consistency: Consistency | null;
  /** Whether a load has saved it of the present, and nobody asked for it. */
  readonly implicit: boolean;
  readonly protected: boolean;
  readonly labels: Labels;
  readonly current: boolean;
}

export interface LineageNode extends SnapshotView {
  /** Levels below the root that was asked for; 0 for a root. */
  readonly depth: number;
  /** Pins are nobody's children. Where they are not shown, theirs are those of the nearest that is. */
  readonly childCount: number;
}

export interface LineageView {
  readonly vmId: string;
  /** How far in the log the views were when the first page was made. */
  readonly position: string;
  readonly current: CurrentView;
  /** In pre-order, siblings in the order in which they were asked for. */
  readonly nodes: readonly LineageNode[];
  readonly nextPageToken?: string;
}

export type OperationKind = 'create' | 'load' | 'delete' | 'retire' | 'unretire';
export type OperationOutcome = 'succeeded' | 'failed' | 'needs-operator';

export interface OperationView {
  readonly id: string;
  readonly kind: OperationKind;
  readonly vmId: string;
  /** Null: it concerns all of them. */
  readonly snapshotId: string | null;
  readonly done: boolean;
  readonly outcome: OperationOutcome | null;
  readonly phase: 'queued' | 'working' | 'done';
  /** 0 to 100. What the log knows: live progress is the worker's to tell. */
  readonly percent: number;
  readonly steps: readonly Step[];
  /** What it left behind on the disks and nobody has removed yet. */
  readonly leftovers: readonly Leftover[];
  readonly error?: { readonly reason: string; readonly message: string; readonly retryable: boolean };
  /** One sentence for people. */
  readonly message: string;
  /** What came of it, once it has succeeded. */
  readonly response?: { readonly snapshotId: string | null };
}

export type HistoryAction =
  | 'registered'
  | 'changed'
  | 'disks-changed'
  | 'forgotten'
  | 'pinned'
  | 'created'
  | 'create-failed'
  | 'loaded'
  | 'load-failed'
  | 'deleted'
  | 'delete-failed'
  | 'discarded'
  | 'renamed'
  | 'described'
  | 'labelled'
  | 'protected'
  | 'unprotected'
  | 'retired'
  | 'unretired'
  | 'leftover-removed'
  | 'hold-released'
  | 'drift-found'
  | 'drift-gone'
  | 'repair-started'
  | 'adopted';

export interface HistoryEntry {
  readonly at: string;
  /** Who asked for it. */
  readonly actor: string;
  readonly action: HistoryAction;
  readonly snapshotId: string | null;
  /** The snapshot's name as of then; null when no snapshot is concerned. */
  readonly name: string | null;
  readonly operationId: string | null;
  readonly outcome: OperationOutcome;
  readonly reason?: string;
}

/** One resource, and the version of its VM's stream that it shows. */
export interface Shown<Body> {
  readonly body: Body;
  readonly version: number;
}

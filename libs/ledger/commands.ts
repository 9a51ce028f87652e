import type { Astray } from './drift.ts';
import type { DataOf } from './events.ts';
import type { FailureCode } from './refusal.ts';
import type {
  AcceptedPlan,
  Backup,
  CaptureMode,
  Disk,
  DiskCapture,
  Finding,
  Labels,
  LayerChange,
  Leftover,
  MemoryFormat,
  Orphan,
  PinWish,
  Quiesce,
  Resume,
  Step,
  Strategy,
} from './shapes.ts';

/** How many of something a VM may have. Set by the operator, carried by the commands that need them. */
export interface Limits {
  /** Live internal snapshots: QEMU rewrites the whole table at each capture. */
  readonly snapshotsMax: number;
  /** Layers under one disk: QEMU opens them all, and every read may ask each. */
  readonly chainMax: number;
}

/** What somebody asks of one VM. Ids and times are brought along: deciding is pure. */
export type Command =
  | { readonly type: 'RegisterVm'; readonly registration: DataOf<'VmRegistered'> }
  | { readonly type: 'ChangeVm'; readonly change: DataOf<'VmChanged'> }
  | { readonly type: 'ForgetVm' }
  | {
      readonly type: 'CreateSnapshot';
      readonly snapshotId: string;
      readonly operationId: string;
      readonly name?: string;
      readonly description?: string;
      readonly labels?: Labels;
      readonly memory?: CaptureMode;
      readonly memoryFile?: string;
      readonly memoryFormat?: MemoryFormat;
      readonly disks?: readonly DiskCapture[];
      readonly diskOnly?: boolean;
      readonly backups?: readonly Backup[];
      readonly quiesce?: Quiesce;
      readonly limits: Limits;
      readonly plan?: AcceptedPlan;
    }
  | {
      readonly type: 'LoadSnapshot';
      readonly snapshotId: string;
      readonly operationId: string;
      readonly resume?: Resume;
      readonly disksOnly?: boolean;
      /** Absent: nothing is saved of the present. */
      readonly pin?: PinWish;
      readonly plan?: AcceptedPlan;
    }
  | {
      readonly type: 'DeleteSnapshot';
      readonly snapshotId: string;
      readonly operationId: string;
      /** Absent: retire. */
      readonly strategy?: Strategy;
      readonly plan?: AcceptedPlan;
    }
  | {
      readonly type: 'DeleteAllSnapshots';
      readonly operationId: string;
      readonly plan?: AcceptedPlan;
    }
  | { readonly type: 'UnretireSnapshot'; readonly snapshotId: string }
  | {
      readonly type: 'PatchSnapshot';
      readonly snapshotId: string;
      readonly name?: string;
      readonly description?: string;
      readonly labels?: Labels;
      readonly protected?: boolean;
    }
  | { readonly type: 'CancelOperation'; readonly operationId: string }
  | {
      readonly type: 'ReleaseHold';
      readonly note: string;
      /** The machine was looked at a moment ago, and that is recorded. */
      readonly isSeen?: true;
    }
  | {
      readonly type: 'AdoptSnapshots';
      /** Tags as the last look found them. Absent: all that can be adopted. */
      readonly names?: readonly string[];
      /** New ids, as many as there are foreign tags or more. */
      readonly ids: readonly string[];
    }
  | Report;

/** What the worker has seen or done. A second report of the same thing decides to nothing. */
export type Report =
  | {
      readonly type: 'ReportDisks';
      readonly disks: readonly Disk[];
      readonly foreignTags: DataOf<'DisksChanged'>['foreignTags'];
    }
  | {
      readonly type: 'ReportDrift';
      readonly disks: readonly Disk[];
      readonly foreignTags: DataOf<'DisksChanged'>['foreignTags'];
      readonly findings: readonly Finding[];
      readonly stopped: boolean;
    }
  | { readonly type: 'StartRepair'; readonly worker: string; readonly orphans: readonly Orphan[] }
  | { readonly type: 'StartOperation'; readonly start: DataOf<'OperationStarted'> }
  | { readonly type: 'ReportCreated'; readonly created: Omit<DataOf<'SnapshotCreated'>, 'snapshotId'> }
  | {
      readonly type: 'ReportPinned';
      readonly pinned: Omit<DataOf<'SnapshotPinned'>, 'snapshotId' | 'name' | 'parentId'>;
    }
  | {
      readonly type: 'ReportContentLoaded';
      readonly content: Omit<DataOf<'ContentLoaded'>, 'snapshotId'>;
    }
  | {
      readonly type: 'ReportLoaded';
      readonly loaded: Omit<DataOf<'SnapshotLoaded'>, 'snapshotId'>;
      /** Earlier pins that are gone now. */
      readonly replaced?: readonly string[];
      /** What is left of those. */
      readonly orphans?: readonly Finding[];
    }
  | { readonly type: 'ReportDeleted'; readonly deleted: Omit<DataOf<'SnapshotDeleted'>, 'snapshotId'> }
  | {
      readonly type: 'ReportFailed';
      readonly failed: FailedReport;
      readonly astray?: Astray;
      /** Earlier pins that a load has removed, though only in part, before it failed. */
      readonly replaced?: readonly string[];
      /** What is left of those. */
      readonly orphans?: readonly Finding[];
    }
  | { readonly type: 'ReportLeftoverRemoved'; readonly leftover: DataOf<'LeftoverRemoved'> };

export interface FailedReport {
  readonly operationId: string;
  readonly reason: FailureCode;
  readonly message: string;
  readonly outcome: 'undone' | 'held';
  readonly leftovers: readonly Leftover[];
  readonly layers?: LayerChange | undefined;
  readonly steps: readonly Step[];
  readonly transcriptDigest: string;
}

export type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

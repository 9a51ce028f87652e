import type { DataOf } from './events.ts';
import type { FailureCode } from './refusal.ts';
import type { CaptureMode, Disk, DiskCapture, Labels, Leftover, Step, Strategy, Resume } from './shapes.ts';

/** How many of something a VM may have. Set by the operator, carried by the commands that need them. */
export interface Limits {
  /** Live internal snapshots: QEMU rewrites the whole table at each capture. */
  readonly snapshotsMax: number;
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
      readonly disks?: readonly DiskCapture[];
      readonly diskOnly?: boolean;
      readonly limits: Limits;
    }
  | {
      readonly type: 'LoadSnapshot';
      readonly snapshotId: string;
      readonly operationId: string;
      readonly resume?: Resume;
      readonly disksOnly?: boolean;
    }
  | {
      readonly type: 'DeleteSnapshot';
      readonly snapshotId: string;
      readonly operationId: string;
      /** Absent: retire. */
      readonly strategy?: Strategy;
    }
  | { readonly type: 'DeleteAllSnapshots'; readonly operationId: string }
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
  | { readonly type: 'ReleaseHold'; readonly note: string }
  | Report;

/** What the worker has seen or done. A second report of the same thing decides to nothing. */
export type Report =
  | {
      readonly type: 'ReportDisks';
      readonly disks: readonly Disk[];
      readonly foreignTags: DataOf<'DisksChanged'>['foreignTags'];
    }
  | { readonly type: 'StartOperation'; readonly start: DataOf<'OperationStarted'> }
  | { readonly type: 'ReportCreated'; readonly created: Omit<DataOf<'SnapshotCreated'>, 'snapshotId'> }
  | { readonly type: 'ReportLoaded'; readonly loaded: Omit<DataOf<'SnapshotLoaded'>, 'snapshotId'> }
  | { readonly type: 'ReportDeleted'; readonly deleted: Omit<DataOf<'SnapshotDeleted'>, 'snapshotId'> }
  | { readonly type: 'ReportFailed'; readonly failed: FailedReport }
  | { readonly type: 'ReportLeftoverRemoved'; readonly leftover: DataOf<'LeftoverRemoved'> };

export interface FailedReport {
  readonly operationId: string;
  readonly reason: FailureCode;
  readonly message: string;
  readonly outcome: 'undone' | 'held';
  readonly leftovers: readonly Leftover[];
  readonly steps: readonly Step[];
  readonly transcriptDigest: string;
}

export type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

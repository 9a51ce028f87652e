import type { DataOf } from './events.ts';
import type { Hold } from './hold.ts';
import type { CaptureMode, Disk, DiskCapture, DiskEvidence, Strategy, Resume, VmState } from './shapes.ts';

export type SnapshotStatus = 'pending' | 'complete' | 'deleting' | 'retired' | 'lost' | 'suspect';

/** A snapshot that lives: whose name is taken and which others may descend from. */
export interface Snapshot {
  readonly id: string;
  name: string;
  description: string;
  labels: Readonly<Record<string, string>>;
  parentId: string | null;
  status: SnapshotStatus;
  isProtected: boolean;
  /** The machine when it was captured; null until it is. */
  vmState: VmState | null;
  memory: CaptureMode;
  disks: readonly DiskCapture[];
  evidence: readonly DiskEvidence[];
}

/** The one request that is being carried out, with all the worker needs to do it. */
export type OpenOperation = {
  readonly id: string;
  /** The event that asked for it: what the worker reports is caused by it. */
  readonly requestId: string;
  /** Set from the moment QEMU or a file may have been touched. */
  started: DataOf<'OperationStarted'> | null;
} & (
  | {
      readonly kind: 'create';
      readonly snapshotId: string;
      readonly memory: CaptureMode | undefined;
      readonly diskOnly: boolean;
    }
  | {
      readonly kind: 'load';
      readonly snapshotId: string;
      readonly resume: Resume;
      readonly disksOnly: boolean;
    }
  | {
      readonly kind: 'delete';
      readonly snapshotId: string | null;
      readonly strategy: Strategy;
      readonly targets: readonly string[];
      /** How each target stood before, should nothing come of it. */
      readonly before: ReadonlyMap<string, SnapshotStatus>;
    }
);

export type Confidence = 'known' | 'assumed' | 'unknown';

/** What the ledger believes of one VM: the fold of its events. */
export interface Vm {
  /** Not registered yet, registered, or forgotten. */
  life: 'unborn' | 'registered' | 'forgotten';
  id: string;
  name: string;
  host: string;
  monitor: string;
  guestAgent: string | null;
  labels: Readonly<Record<string, string>>;
  disks: readonly Disk[];
  foreignTags: readonly { readonly device: string; readonly tag: string }[];
  /** Those that live, in the order they were asked for. */
  snapshots: Map<string, Snapshot>;
  /** Every snapshot id this VM ever knew: none is given twice. */
  usedIds: Set<string>;
  current: { id: string | null; confidence: Confidence };
  operation: OpenOperation | null;
  hold: Hold | null;
}

export const unborn = (): Vm => ({
  life: 'unborn',
  id: '',
  name: '',
  host: '',
  monitor: '',
  guestAgent: null,
  labels: {},
  disks: [],
  foreignTags: [],
  snapshots: new Map(),
  usedIds: new Set(),
  current: { id: null, confidence: 'known' },
  operation: null,
  hold: null,
});

/** Those whose parent is `id`. */
export const childrenOf = (vm: Vm, id: string): Snapshot[] =>
  [...vm.snapshots.values()].filter((snapshot) => snapshot.parentId === id);

/** The snapshot and all that descend from it, each after its descendants. */
export function subtreeOf(vm: Vm, id: string): string[] {
  const children = new Map<string | null, string[]>();
  for (const { id: child, parentId } of vm.snapshots.values()) {
    const siblings = children.get(parentId);
    if (siblings) siblings.push(child);
    else children.set(parentId, [child]);
  }
  const found: string[] = [id];
  for (let next = 0; next < found.length; next += 1) found.push(...(children.get(found[next] ?? '') ?? []));
  return found.toReversed();
}

/** The snapshot's tag on every disk. Opaque and never a number, so that QEMU cannot take it for one of its ids. */
export const tagOf = (snapshotId: string): string => `sl-${snapshotId}`;

const TAG = /^sl-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** The snapshot a tag belongs to; null for a tag that is not ours. */
export const snapshotOfTag = (tag: string): string | null => TAG.exec(tag)?.[1] ?? null;

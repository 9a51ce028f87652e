import type { DataOf } from './events.ts';
import type { Hold } from './hold.ts';
import type {
  AcceptedPlan,
  Disk,
  DiskCapture,
  DiskEvidence,
  Finding,
  Layer,
  SnapshotMemory,
  Standing,
  Strategy,
  VmState,
} from './shapes.ts';

/** What a snapshot keeps of one disk. */
export type SnapshotDisk = Pick<DiskCapture, 'device' | 'mode' | 'file'>;

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
  memory: SnapshotMemory;
  /** A pin: saved by a load of what it was about to leave. Nobody's child, and never given a name by people. */
  readonly implicit: boolean;
  /** `file` is the one that holds the content: the frozen layer, or the one with the tag inside. */
  disks: readonly SnapshotDisk[];
  evidence: readonly DiskEvidence[];
  /** The tag it was adopted under; absent: its tag is ours. */
  readonly nativeTag?: string;
  /** Where it stood before a look found it lost or damaged; absent while it is whole. */
  whole?: Standing['status'];
  /** A guest has written into what it is read from. */
  spoiled?: true;
}

/** A copy of a disk that holds only a part: the rest it reads from the file that it stands on. */
export interface PartialBackup {
  readonly device: string;
  readonly target: string;
  readonly backing: string;
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
      readonly request: DataOf<'SnapshotRequested'>;
    }
  | {
      readonly kind: 'load';
      readonly snapshotId: string;
      readonly request: DataOf<'LoadRequested'>;
      /** Whether the present is saved already. */
      isPinned: boolean;
      /** Whether everything is in place already, so that the machine may have run on it. */
      isLoaded: boolean;
    }
  | {
      readonly kind: 'delete';
      readonly snapshotId: string | null;
      readonly strategy: Strategy;
      readonly targets: readonly string[];
      readonly plan?: AcceptedPlan;
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
  /** Every file under the disks and under the snapshots, by its path. */
  layers: Map<string, Layer>;
  /** Whatever they stand on stays as it is: the ledger does not know whether a caller still has them. */
  backups: readonly PartialBackup[];
  foreignTags: readonly { readonly device: string; readonly tag: string }[];
  /** Those that live, in the order they were asked for. */
  snapshots: Map<string, Snapshot>;
  /** Every snapshot id this VM ever knew: none is given twice. */
  usedIds: Set<string>;
  /** Every load that was ever asked for: the layers that it makes are called after it. */
  loadIds: Set<string>;
  current: { id: string | null; confidence: Confidence };
  operation: OpenOperation | null;
  hold: Hold | null;
  /** Where the last look found that the disks are not what is believed here. */
  drift: readonly Finding[];
  /** How many more it found than the log lists. */
  unlistedDrift: number;
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
  layers: new Map(),
  backups: [],
  foreignTags: [],
  snapshots: new Map(),
  usedIds: new Set(),
  loadIds: new Set(),
  current: { id: null, confidence: 'known' },
  operation: null,
  hold: null,
  drift: [],
  unlistedDrift: 0,
});

/** Those whose parent is `id`, pins among them. */
export const childrenOf = (vm: Vm, id: string): Snapshot[] =>
  [...vm.snapshots.values()].filter((snapshot) => snapshot.parentId === id);

/** What loads have saved of the present, the newest last. */
export const pinsOf = (vm: Vm): Snapshot[] => [...vm.snapshots.values()].filter(({ implicit }) => implicit);

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

/** Whether it says that the machine itself stands on a wrong layer, and not what became of a snapshot for it. */
export const isWrongChain = ({ kind, snapshotId }: Finding): boolean =>
  kind === 'wrong-chain' && snapshotId === undefined;

/** The finding that holds the VM; undefined while its chain is right. */
export const wrongChainIn = ({ drift }: Pick<Vm, 'drift'>): Finding | undefined => drift.find(isWrongChain);

/** The snapshot's tag on every disk. Opaque and never a number, so that QEMU cannot take it for one of its ids. */
export const tagOf = (snapshotId: string): string => `sl-${snapshotId}`;

/** The tag that a snapshot stands under on its disks. */
export const tagOn = ({ id, nativeTag }: Pick<Snapshot, 'id' | 'nativeTag'>): string =>
  nativeTag ?? tagOf(id);

const TAG = /^sl-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** The snapshot a tag belongs to; null for a tag that is not ours. */
export const snapshotOfTag = (tag: string): string | null => TAG.exec(tag)?.[1] ?? null;

import type { DataOf, VmEvent, VmEventType } from '../events.ts';
import type { FailureCode } from '../refusal.ts';
import type { Disk, DiskEvidence, Leftover, Strategy } from '../shapes.ts';
import { tagOf } from '../vm.ts';

/** What happened, in letters: a letter is the id and the name of a snapshot. */
export type Told = VmEvent | readonly VmEvent[];

export const fact = <T extends VmEventType>(type: T, data: DataOf<T>) => ({ type, data }) as VmEvent;

export const disk = (device: string, more: Partial<Disk> = {}): Disk => ({
  device,
  node: `node-${device}`,
  format: 'qcow2',
  file: `/images/${device}.qcow2`,
  readOnly: false,
  default: 'internal',
  ...more,
});

/** Two qcow2 disks and a raw one that nobody can capture: the machine of most stories has the first two. */
export const VDA = disk('vda');
export const VDB = disk('vdb');
export const RAW = disk('raw', { format: 'raw', file: '/images/raw.img', default: null });

export const registration = (more: Partial<DataOf<'VmRegistered'>> = {}): DataOf<'VmRegistered'> => ({
  vmId: 'vm',
  name: 'web',
  host: 'host-1',
  monitor: '/run/web.qmp',
  guestAgent: null,
  labels: {},
  disks: [VDA, VDB],
  foreignTags: [],
  ...more,
});
export const registered = (more: Partial<DataOf<'VmRegistered'>> = {}): VmEvent =>
  fact('VmRegistered', registration(more));

const done = { steps: [], transcriptDigest: '' };

export const evidence = (id: string, device: string): DiskEvidence => ({
  device,
  file: `/images/${device}.qcow2`,
  tag: tagOf(id),
  nativeId: '1',
  date: 0,
  vmClockNs: 0,
  vmStateSizeBytes: 0,
});

export const requested = (
  id: string,
  parentId: string | null = null,
  more: Partial<DataOf<'SnapshotRequested'>> = {},
): VmEvent =>
  fact('SnapshotRequested', {
    snapshotId: id,
    operationId: `create-${id}`,
    name: id,
    nameGiven: true,
    description: '',
    labels: {},
    parentId,
    diskOnly: false,
    disks: [
      { device: 'vda', mode: 'internal' },
      { device: 'vdb', mode: 'internal' },
    ],
    ...more,
  });

export const creation = (id: string): Omit<DataOf<'SnapshotCreated'>, 'snapshotId'> => ({
  operationId: `create-${id}`,
  vmState: 'running',
  memory: { mode: 'internal', device: 'vdb', sizeBytes: 1 },
  consistency: 'memory',
  evidence: [evidence(id, 'vda'), evidence(id, 'vdb')],
  ...done,
});
export const snapshotCreated = (id: string, more: Partial<DataOf<'SnapshotCreated'>> = {}): VmEvent =>
  fact('SnapshotCreated', { snapshotId: id, ...creation(id), ...more });

/** Asked for and done. */
export const taken = (id: string, parentId: string | null = null): VmEvent[] => [
  requested(id, parentId),
  snapshotCreated(id),
];

export const loadRequested = (id: string): VmEvent =>
  fact('LoadRequested', {
    snapshotId: id,
    operationId: `load-${id}`,
    resume: 'as-captured',
    disksOnly: false,
  });
export const snapshotLoaded = (id: string): VmEvent =>
  fact('SnapshotLoaded', { snapshotId: id, operationId: `load-${id}`, runs: true, ...done });
/** Asked for and done. */
export const loaded = (id: string): VmEvent[] => [loadRequested(id), snapshotLoaded(id)];

export const deleteRequested = (id: string | null, strategy: Strategy, ...targets: string[]): VmEvent =>
  fact('DeleteRequested', { snapshotId: id, operationId: `delete-${id ?? 'all'}`, strategy, targets });
export const snapshotDiscarded = (id: string, of: string): VmEvent =>
  fact('SnapshotDiscarded', { snapshotId: id, operationId: `delete-${of}` });
export const snapshotDeleted = (id: string | null): VmEvent =>
  fact('SnapshotDeleted', { snapshotId: id, operationId: `delete-${id ?? 'all'}`, ...done });
/** Asked for and done: folded away, its children get its parent. */
export const merged = (id: string): VmEvent[] => [deleteRequested(id, 'merge', id), snapshotDeleted(id)];

export const started = (operationId: string, snapshotId: string | null = null): VmEvent =>
  fact('OperationStarted', starting(operationId, snapshotId));
export const starting = (
  operationId: string,
  snapshotId: string | null = null,
): DataOf<'OperationStarted'> => ({
  operationId,
  snapshotId,
  worker: 'worker-1',
  wasRunning: true,
  nodes: { vda: 'node-vda', vdb: 'node-vdb' },
  files: { vda: '/images/vda.qcow2', vdb: '/images/vdb.qcow2' },
  plan: ['take it on both disks'],
  undo: ['remove it from both disks'],
  vmState: 'running',
  memory: 'internal',
});

/** How an operation failed, unless the story says otherwise: QEMU said no and nothing stayed behind. */
export const failure = (operationId: string, more: Partial<Failure> = {}): Failure => ({
  operationId,
  reason: 'refused-by-qemu',
  message: 'QEMU said no',
  outcome: 'undone',
  leftovers: [],
  ...done,
  ...more,
});
type Failure = Omit<DataOf<'CreateFailed'>, 'snapshotId'> & { readonly reason: FailureCode };

/** What stayed of a snapshot on one disk. */
export const leftover = (id: string, device = 'vda'): Leftover => ({
  device,
  file: `/images/${device}.qcow2`,
  tag: tagOf(id),
  why: 'QEMU would not remove it',
});
export const held = (...leftovers: Leftover[]): Partial<Failure> => ({ outcome: 'held', leftovers });

export const createFailed = (id: string, more: Partial<Failure> = {}): VmEvent =>
  fact('CreateFailed', { snapshotId: id, ...failure(`create-${id}`, more) });
export const loadFailed = (id: string, more: Partial<Failure> = {}): VmEvent =>
  fact('LoadFailed', { snapshotId: id, ...failure(`load-${id}`, more) });
export const deleteFailed = (id: string | null, more: Partial<Failure> = {}): VmEvent =>
  fact('DeleteFailed', { snapshotId: id, ...failure(`delete-${id ?? 'all'}`, more) });
export const leftoverRemoved = (id: string, device = 'vda'): VmEvent =>
  fact('LeftoverRemoved', { snapshotId: id, device, file: `/images/${device}.qcow2`, tag: tagOf(id) });

export const renamed = (snapshotId: string, name: string): VmEvent =>
  fact('SnapshotRenamed', { snapshotId, name });
export const retired = (snapshotId: string): VmEvent => fact('SnapshotRetired', { snapshotId });
export const protectedFromNow = (snapshotId: string): VmEvent => fact('SnapshotProtected', { snapshotId });
export const released = (note = 'looked at it'): VmEvent => fact('HoldReleased', { note });

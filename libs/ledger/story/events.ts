import type { DataOf, VmEvent, VmEventType } from '../events.ts';
import type { FailureCode } from '../refusal.ts';
import { madeUpName } from '../names.ts';
import type { Backup, Disk, DiskEvidence, Finding, LayerChange, Leftover, Strategy } from '../shapes.ts';
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

/** The file that the machine writes on since `id` was captured or loaded; null: the one that it came with. */
export const overlay = (device: string, id: string | null): string =>
  id === null ? `/images/${device}.qcow2` : `/images/${device}-${id}.qcow2`;

const onTop = (id: string, of: string | null, devices: readonly string[]) => ({
  set: devices.map((device) => ({
    ...{ device, file: overlay(device, id), format: 'qcow2', backing: overlay(device, of) },
    origin: 'ours' as const,
  })),
  gone: [],
  tops: devices.map((device) => ({
    ...{ device, node: `node-${device}-${id}`, file: overlay(device, id), format: 'qcow2' },
  })),
});

/** What was written on since `on` is frozen, and is what `id` holds; the machine goes on in new files. */
export const frozenBy = (id: string, on: string | null, devices = ['vda', 'vdb']): LayerChange => ({
  ...onTop(id, on, devices),
  contents: devices.map((device) => ({ snapshotId: id, device, file: overlay(device, on) })),
});

/** Outside of the disks: asked for and done. Until now the machine has written on what `on` had made. */
export const takenOutside = (
  id: string,
  parentId: string | null = null,
  on: string | null = parentId,
  more: Partial<DataOf<'SnapshotCreated'>> = {},
): VmEvent[] => [
  requested(id, parentId, { disks: ['vda', 'vdb'].map((device) => ({ device, mode: 'external' })) }),
  snapshotCreated(id, { memory: { mode: 'none' }, evidence: [], layers: frozenBy(id, on), ...more }),
];

/** Inside the disks, while the machine writes on what `on` had made. */
export const takenOn = (id: string, on: string | null, parentId = on): VmEvent[] => [
  requested(id, parentId),
  snapshotCreated(id, {
    evidence: ['vda', 'vdb'].map((device) => ({ ...evidence(id, device), file: overlay(device, on) })),
  }),
];

/** The machine goes on from what `id` holds, in files called after `as`. */
export const loadedOutside = (id: string, as: string, on: string | null = null): VmEvent[] => [
  loadRequested(id),
  fact('SnapshotLoaded', {
    ...{ snapshotId: id, operationId: `load-${id}`, runs: true, ...done },
    layers: { ...onTop(as, on, ['vda', 'vdb']), contents: [] },
  }),
];

export const backup = (device: string, target: string): Backup => ({
  ...{ device, target, format: 'qcow2', sync: 'full', fileMode: 'absolute-paths' },
});

export const loadRequested = (id: string, pin?: string): VmEvent =>
  fact('LoadRequested', {
    snapshotId: id,
    operationId: `load-${id}`,
    resume: 'as-captured',
    disksOnly: false,
    ...(pin !== undefined && { pin: { snapshotId: pin, what: 'disks' } }),
  });

/** What a load saves of the present, inside the disks. */
export const pinning = (
  pin: string,
  of: string,
): Omit<DataOf<'SnapshotPinned'>, 'snapshotId' | 'name' | 'parentId'> => ({
  operationId: `load-${of}`,
  disks: [
    { device: 'vda', mode: 'internal' },
    { device: 'vdb', mode: 'internal' },
  ],
  vmState: 'running',
  memory: { mode: 'none' },
  consistency: 'crash',
  evidence: [evidence(pin, 'vda'), evidence(pin, 'vdb')],
});
export const snapshotPinned = (pin: string, of: string, parentId: string | null): VmEvent =>
  fact('SnapshotPinned', { ...pinning(pin, of), snapshotId: pin, name: madeUpName(pin), parentId });
/** Asked for and done: the present, a child of `parentId`, is saved as `pin`. */
export const loadedSafely = (id: string, pin: string, parentId: string | null): VmEvent[] => [
  loadRequested(id, pin),
  snapshotPinned(pin, id, parentId),
  snapshotLoaded(id),
];
export const snapshotLoaded = (id: string): VmEvent =>
  fact('SnapshotLoaded', { snapshotId: id, operationId: `load-${id}`, runs: true, ...done });
/** Asked for and done. */
export const loaded = (id: string): VmEvent[] => [loadRequested(id), snapshotLoaded(id)];

export const deleteRequested = (id: string | null, strategy: Strategy, ...targets: string[]): VmEvent =>
  fact('DeleteRequested', { snapshotId: id, operationId: `delete-${id ?? 'all'}`, strategy, targets });
export const snapshotDiscarded = (id: string, of: string, verb = 'delete'): VmEvent =>
  fact('SnapshotDiscarded', { snapshotId: id, operationId: `${verb}-${of}` });
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

/** What a look found. */
export const found = (kind: Finding['kind'], about: Partial<Finding> = {}): Finding => ({
  ...{ kind, message: `it is ${kind}`, evidence: [] },
  ...about,
});

/** A tag that is not ours, on these disks. */
export const strange = (tag: string, devices = ['vda', 'vdb'], more: Partial<DiskEvidence> = {}): Finding =>
  found('foreign', { tag, evidence: devices.map((device) => ({ ...evidence('', device), tag, ...more })) });

export const driftFound = (
  findings: Finding[],
  standings: DataOf<'DriftFound'>['standings'] = [],
  stopped = false,
): VmEvent => fact('DriftFound', { findings, standings, stopped });

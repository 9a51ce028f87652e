import { z } from 'zod';
import { PlannedBackup, PlannedLayer } from './planned.ts';
import {
  AcceptedPlan,
  Backup,
  Consistency,
  Disk,
  DiskCapture,
  DiskEvidence,
  Finding,
  Labels,
  LayerChange,
  Leftover,
  MachineConfig,
  CaptureMode,
  MemoryFormat,
  Orphan,
  Outcome,
  PinWish,
  PlannedPin,
  Quiesce,
  Quiesced,
  SnapshotMemory,
  Standing,
  Step,
  Strategy,
  Resume,
  VmState,
} from './shapes.ts';

const of = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), data: z.object(shape) });

/** What the worker leaves behind when an operation ends well. */
const done = { steps: z.array(Step), transcriptDigest: z.string() };

/** False: it was made to stand still, and QEMU would not let it run on. Absent: it is as it was. */
const stuck = { runs: z.boolean().optional() };

/** What a capture has come to. */
const captured = {
  vmState: VmState,
  memory: SnapshotMemory,
  consistency: Consistency,
  /** What a look found inside the disks. */
  evidence: z.array(DiskEvidence),
  layers: LayerChange.optional(),
};

/** A copy that is whole. */
const MadeBackup = Backup.omit({ fileMode: true }).extend({ sizeBytes: z.number() });

/** What the worker leaves behind when an operation fails. */
const failed = {
  reason: z.string(),
  message: z.string(),
  outcome: Outcome,
  leftovers: z.array(Leftover),
  layers: LayerChange.optional(),
  steps: z.array(Step),
  transcriptDigest: z.string(),
};

/** What can be known of a machine when it is registered. */
const registration = {
  vmId: z.string(),
  name: z.string(),
  host: z.string(),
  monitor: z.string(),
  guestAgent: z.string().nullable(),
  labels: Labels,
  disks: z.array(Disk),
  /** Tags that stood on the disks before we came, by device. They are nobody's snapshots yet. */
  foreignTags: z.array(z.object({ device: z.string(), tag: z.string() })),
};

/**
 * Everything that can ever have happened to one VM and its snapshots.
 * Recorded for good: a line is never edited, a new one is added below it.
 */
export const VmEvent = z.discriminatedUnion('type', [
  of('VmRegistered', registration),
  of('VmChanged', {
    name: z.string().optional(),
    labels: Labels.optional(),
    monitor: z.string().optional(),
    guestAgent: z.string().nullable().optional(),
    host: z.string().optional(),
    defaults: z.record(z.string(), CaptureMode).optional(),
  }),
  of('DisksChanged', { disks: z.array(Disk), foreignTags: registration.foreignTags }),
  of('VmForgotten', {}),

  of('SnapshotRequested', {
    snapshotId: z.string(),
    operationId: z.string(),
    name: z.string(),
    /** Whether somebody chose the name, or the ledger made it up from the id. */
    nameGiven: z.boolean(),
    description: z.string(),
    labels: Labels,
    parentId: z.string().nullable(),
    /** What was asked; absent = the default for the power state the worker finds. */
    memory: CaptureMode.optional(),
    /** Where the memory goes, when the caller says so. */
    memoryFile: z.string().optional(),
    memoryFormat: MemoryFormat.optional(),
    diskOnly: z.boolean(),
    disks: z.array(DiskCapture),
    backups: z.array(Backup).optional(),
    quiesce: Quiesce.optional(),
    plan: AcceptedPlan.optional(),
  }),
  of('LoadRequested', {
    snapshotId: z.string(),
    operationId: z.string(),
    resume: Resume,
    disksOnly: z.boolean(),
    /** Absent: nothing is saved of the present. */
    pin: PinWish.optional(),
    plan: AcceptedPlan.optional(),
  }),
  of('DeleteRequested', {
    /** Null: all of them. */
    snapshotId: z.string().nullable(),
    operationId: z.string(),
    strategy: Strategy,
    /** Every snapshot whose data goes, leaf first; the one asked for is the last. */
    targets: z.array(z.string()),
    plan: AcceptedPlan.optional(),
  }),
  of('OperationStarted', {
    operationId: z.string(),
    snapshotId: z.string().nullable(),
    worker: z.string(),
    wasRunning: z.boolean(),
    /** Node names as they were, by device: the undo must know them when QEMU has forgotten. */
    nodes: z.record(z.string(), z.string()),
    files: z.record(z.string(), z.string()),
    /** What will be done, in words, in order. */
    plan: z.array(z.string()),
    /** What takes it back, in words; empty when the operation rolls forward instead. */
    undo: z.array(z.string()),
    vmState: VmState,
    memory: CaptureMode,
    /** Layers that the operation makes, each under the node name that QEMU is to know it by. */
    overlays: z.array(PlannedLayer).optional(),
    /** The file that the memory goes into, and the node name of one that QEMU opens as an image. */
    memoryFile: z
      .object({
        file: z.string(),
        node: z.string(),
        format: MemoryFormat,
        /** Stream only: how fast a migration may send, which is raised meanwhile. */
        bytesPerS: z.number().optional(),
      })
      .optional(),
    /** The machine whose memory is captured. */
    machine: MachineConfig.optional(),
    /** Copies that are made of the disks, from the instant of the capture on. */
    backups: z.array(PlannedBackup).optional(),
    /** The guest agent that freezes and thaws the guest's file systems; null: nobody does, and `why` says why. */
    quiesce: z
      .object({ asked: Quiesce, agent: z.string().nullable(), why: z.string().optional() })
      .optional(),
    /**
     * Whether a load needs a new QEMU: one that is started before it and then loads, or one that is started after it,
     * from disks that are loaded already.
     */
    launch: z.enum(['before', 'after']).optional(),
    /** Files that will be unlinked: none that is not named here. */
    unlinks: z.array(z.string()).optional(),
    /** Layers that another VM reads: they stay as they are, whatever becomes of the snapshots in them. */
    spared: z.array(z.object({ file: z.string(), vmId: z.string() })).optional(),
    /** What a load saves of the present before it leaves it, and where that will stand. */
    pin: PlannedPin.optional(),
  }),
  /** A load has saved the present first. The snapshot is nobody's child, and hidden unless asked for. */
  of('SnapshotPinned', {
    snapshotId: z.string(),
    operationId: z.string(),
    name: z.string(),
    parentId: z.string().nullable(),
    disks: z.array(DiskCapture),
    ...captured,
  }),
  /**
   * All that a load was to bring back is in place, and nothing has run on it yet. From here on it is never done again:
   * what the guest writes next is its own.
   */
  of('ContentLoaded', {
    snapshotId: z.string(),
    operationId: z.string(),
    layers: LayerChange.optional(),
  }),
  of('SnapshotCreated', {
    snapshotId: z.string(),
    operationId: z.string(),
    ...captured,
    backups: z.array(MadeBackup).optional(),
    quiesce: Quiesced.optional(),
    ...stuck,
    ...done,
  }),
  of('CreateFailed', { snapshotId: z.string(), operationId: z.string(), ...failed }),
  of('SnapshotLoaded', {
    snapshotId: z.string(),
    operationId: z.string(),
    runs: z.boolean(),
    layers: LayerChange.optional(),
    ...done,
  }),
  of('LoadFailed', { snapshotId: z.string(), operationId: z.string(), ...failed }),
  of('SnapshotDeleted', {
    snapshotId: z.string().nullable(),
    operationId: z.string(),
    layers: LayerChange.optional(),
    ...stuck,
    ...done,
  }),
  of('DeleteFailed', { snapshotId: z.string().nullable(), operationId: z.string(), ...failed }),
  of('SnapshotDiscarded', { snapshotId: z.string(), operationId: z.string() }),

  of('SnapshotRenamed', { snapshotId: z.string(), name: z.string() }),
  of('SnapshotDescribed', { snapshotId: z.string(), description: z.string() }),
  of('SnapshotLabelled', { snapshotId: z.string(), labels: Labels }),
  of('SnapshotProtected', { snapshotId: z.string() }),
  of('SnapshotUnprotected', { snapshotId: z.string() }),
  of('SnapshotRetired', { snapshotId: z.string() }),
  of('SnapshotUnretired', { snapshotId: z.string() }),

  of('LeftoverRemoved', {
    snapshotId: z.string().nullable(),
    device: z.string(),
    file: z.string(),
    tag: z.string(),
  }),
  of('HoldReleased', { note: z.string() }),

  /** A look found other differences than the one before. No findings: there are none any more. */
  of('DriftFound', {
    findings: z.array(Finding),
    /** Snapshots that stand elsewhere than before the look. */
    standings: z.array(Standing),
    /** Whether the machine ran on a wrong chain, or on nothing, and was stopped for it. */
    stopped: z.boolean(),
    /** How many more differences there were than one event lists. */
    unlisted: z.number().optional(),
  }),
  /** Somebody has accepted that these are removed. What is left of them the next look finds. */
  of('RepairStarted', { worker: z.string(), orphans: z.array(Orphan) }),
  /** A tag that was not ours is a snapshot from here on, and keeps its tag. */
  of('SnapshotAdopted', {
    snapshotId: z.string(),
    name: z.string(),
    /** Whether it is called as its tag; else the ledger made the name up. */
    nameGiven: z.boolean(),
    tag: z.string(),
    /** Null: nothing on a disk says which snapshot came from which. */
    parentId: z.string().nullable(),
    disks: z.array(DiskCapture),
    vmState: VmState,
    memory: SnapshotMemory,
    consistency: Consistency,
    evidence: z.array(DiskEvidence),
  }),
]);
export type VmEvent = z.infer<typeof VmEvent>;
export type VmEventType = VmEvent['type'];
export type VmEventOf<T extends VmEventType> = Extract<VmEvent, { type: T }>;
/** The data of one kind of event. */
export type DataOf<T extends VmEventType> = VmEventOf<T>['data'];

/** What must be unique across VMs: names, monitors, image files. Kept in the stream `registry`. */
export const RegistryEvent = z.discriminatedUnion('type', [
  of('VmClaimed', {
    vmId: z.string(),
    name: z.string(),
    monitor: z.string(),
    files: z.array(z.string()),
    /** Files that the machine reads and does not write. Any number of VMs may stand on one. */
    below: z.array(z.string()).optional(),
    /** All that is needed to finish a registration that died half-way; null when a registered VM claims anew. */
    registration: z.object(registration).nullable(),
  }),
  of('ClaimReleased', { vmId: z.string() }),
]);
export type RegistryEvent = z.infer<typeof RegistryEvent>;

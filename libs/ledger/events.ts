import { z } from 'zod';
import {
  Consistency,
  Disk,
  DiskCapture,
  DiskEvidence,
  Labels,
  Leftover,
  CaptureMode,
  Outcome,
  Step,
  Strategy,
  Resume,
  VmState,
} from './shapes.ts';

const of = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), data: z.object(shape) });

/** What the worker leaves behind when an operation ends well. */
const done = { steps: z.array(Step), transcriptDigest: z.string() };

/** What the worker leaves behind when an operation fails. */
const failed = {
  reason: z.string(),
  message: z.string(),
  outcome: Outcome,
  leftovers: z.array(Leftover),
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
    diskOnly: z.boolean(),
    disks: z.array(DiskCapture),
  }),
  of('LoadRequested', {
    snapshotId: z.string(),
    operationId: z.string(),
    resume: Resume,
    disksOnly: z.boolean(),
  }),
  of('DeleteRequested', {
    /** Null: all of them. */
    snapshotId: z.string().nullable(),
    operationId: z.string(),
    strategy: Strategy,
    /** Every snapshot whose data goes, leaf first; the one asked for is the last. */
    targets: z.array(z.string()),
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
  }),
  of('SnapshotCreated', {
    snapshotId: z.string(),
    operationId: z.string(),
    vmState: VmState,
    memory: z.object({ mode: CaptureMode, device: z.string().optional(), sizeBytes: z.number().optional() }),
    consistency: Consistency,
    evidence: z.array(DiskEvidence),
    ...done,
  }),
  of('CreateFailed', { snapshotId: z.string(), operationId: z.string(), ...failed }),
  of('SnapshotLoaded', { snapshotId: z.string(), operationId: z.string(), runs: z.boolean(), ...done }),
  of('LoadFailed', { snapshotId: z.string(), operationId: z.string(), ...failed }),
  of('SnapshotDeleted', { snapshotId: z.string().nullable(), operationId: z.string(), ...done }),
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
    /** All that is needed to finish a registration that died half-way; null when a registered VM claims anew. */
    registration: z.object(registration).nullable(),
  }),
  of('ClaimReleased', { vmId: z.string() }),
]);
export type RegistryEvent = z.infer<typeof RegistryEvent>;

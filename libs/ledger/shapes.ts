import { z } from 'zod';

/** How a disk or the memory is captured: inside the qcow2 file, in a file of its own, or not at all. */
export const CaptureMode = z.enum(['none', 'internal', 'external']);
export type CaptureMode = z.infer<typeof CaptureMode>;

/** One disk of a VM as the ledger knows it. `device` is what people say, `node` is what QEMU wants to hear. */
export const Disk = z.object({
  /** Drive id if set, else the qdev id, else the node name. Stable over the life of the machine. */
  device: z.string(),
  /** QEMU's node name of the top layer; empty for a machine that has not been seen running. */
  node: z.string(),
  format: z.string(),
  /** Absolute path of the file to start the machine from. */
  file: z.string(),
  readOnly: z.boolean(),
  /** What a capture does with this disk when it says nothing; null: this format has no default. */
  default: CaptureMode.nullable(),
});
export type Disk = z.infer<typeof Disk>;

/** Whether a file is made anew and must not exist, or was made by the caller and must. QEMU's `NewImageMode`. */
export const FileMode = z.enum(['absolute-paths', 'existing']);
export type FileMode = z.infer<typeof FileMode>;

/** What one capture does with one disk. */
export const DiskCapture = z.object({
  device: z.string(),
  mode: CaptureMode,
  /** External only: where the machine goes on writing. The worker finds a place when nobody names one. */
  file: z.string().optional(),
  format: z.string().optional(),
  fileMode: FileMode.optional(),
});
export type DiskCapture = z.infer<typeof DiskCapture>;

/** A state file lives in qcow2 and loads into a living process; a stream is for a new one (QEMU's `-incoming`). */
export const MemoryFormat = z.enum(['state', 'stream']);
export type MemoryFormat = z.infer<typeof MemoryFormat>;

/** What a machine consists of, as far as its memory depends on it. */
export const MachineFacts = z.object({
  /** E.g. `pc-q35-7.2`. */
  machine: z.string(),
  ramBytes: z.number(),
  cpus: z.number(),
  /** E.g. `qemu64-x86_64-cpu`. */
  cpuModel: z.string(),
  /** Major and minor version, e.g. `7.2`. */
  qemu: z.string(),
  /** `id (type)`, or `(type)` of one without an id; sorted, and no more than the first few hundred. */
  devices: z.array(z.string()),
});
export type MachineFacts = z.infer<typeof MachineFacts>;

/** The facts, and the SHA-256 of all of them in hex. Memory loads into a machine with the same hash. */
export const MachineConfig = z.object({ hash: z.string(), facts: MachineFacts });
export type MachineConfig = z.infer<typeof MachineConfig>;

/** Where a snapshot keeps the machine's memory: inside a disk, or in a file of its own. */
export const SnapshotMemory = z.object({
  mode: CaptureMode,
  device: z.string().optional(),
  file: z.string().optional(),
  format: MemoryFormat.optional(),
  sizeBytes: z.number().optional(),
  sha256: z.string().optional(),
  /** The machine that it was saved from. */
  config: MachineConfig.optional(),
});
export type SnapshotMemory = z.infer<typeof SnapshotMemory>;

/** A copy of one disk, made from the instant of the capture on. */
export const Backup = z.object({
  device: z.string(),
  target: z.string(),
  format: z.string(),
  sync: z.enum(['full', 'top', 'none']),
  fileMode: FileMode,
});
export type Backup = z.infer<typeof Backup>;

/** Whether the guest's file systems are frozen for the capture: not, if it can be, or else nothing is captured. */
export const Quiesce = z.enum(['none', 'try', 'require']);
export type Quiesce = z.infer<typeof Quiesce>;

/** What came of the wish to freeze. */
export const Quiesced = z.object({
  asked: Quiesce,
  /** `filesystem`: frozen from before the capture until after it. */
  achieved: z.enum(['none', 'filesystem']),
  /** How many file systems were frozen. */
  filesystems: z.number().optional(),
  /** Why not, in words. */
  why: z.string().optional(),
});
export type Quiesced = z.infer<typeof Quiesced>;

/** What a load saves of the present before it leaves it, and the id that this gets. */
export const PinWish = z.object({ snapshotId: z.string(), what: z.enum(['disks', 'memory']) });
export type PinWish = z.infer<typeof PinWish>;

/** Where the files of what is saved of the present lie. */
export const PlannedPin = z.object({
  snapshotId: z.string(),
  /** The images that get its tag, by device. */
  files: z.record(z.string(), z.string()),
  /** Absent: no memory is saved, or a disk takes it. */
  memoryFile: z.string().optional(),
});
export type PlannedPin = z.infer<typeof PlannedPin>;

/** A plan that was made before, and accepted by whoever asks now. */
export const AcceptedPlan = z.object({
  /** What people know it by. */
  hash: z.string(),
  /** A digest of how the machine was then, and of what was to be done: compared once more before anything is done. */
  basis: z.string(),
});
export type AcceptedPlan = z.infer<typeof AcceptedPlan>;

/** One file in the chain under a disk. */
export const Layer = z.object({
  device: z.string(),
  file: z.string(),
  format: z.string(),
  /** The layer it stands on; null for the lowest one that we know. */
  backing: z.string().nullable(),
  /** What came with the machine is never unlinked; what is ours goes when nothing needs it any more. */
  origin: z.enum(['given', 'ours']),
});
export type Layer = z.infer<typeof Layer>;

/** What is different under the disks after an operation. */
export const LayerChange = z.object({
  /** New layers, and layers that stand on another one than before. */
  set: z.array(Layer),
  /** Layers whose files are gone. */
  gone: z.array(z.string()),
  /** What these disks stand on from now on. */
  tops: z.array(z.object({ device: z.string(), node: z.string(), file: z.string(), format: z.string() })),
  /** Which file holds what an external snapshot keeps of a disk. */
  contents: z.array(z.object({ snapshotId: z.string(), device: z.string(), file: z.string() })),
});
export type LayerChange = z.infer<typeof LayerChange>;

/** The machine when it was captured. */
export const VmState = z.enum(['running', 'paused', 'shutoff']);
export type VmState = z.infer<typeof VmState>;

/** What a capture can be trusted with: a pulled plug, a frozen file system, the whole machine, a machine that was off. */
export const Consistency = z.enum(['crash', 'filesystem', 'memory', 'offline']);
export type Consistency = z.infer<typeof Consistency>;

export const Labels = z.record(z.string(), z.string());
export type Labels = z.infer<typeof Labels>;

export const Strategy = z.enum(['retire', 'merge', 'merge-force', 'discard', 'discard-force']);
export type Strategy = z.infer<typeof Strategy>;

/** How the machine goes on after a load. */
export const Resume = z.enum(['as-captured', 'running', 'paused']);
export type Resume = z.infer<typeof Resume>;

/** What a look at the disks found of one snapshot on one disk. The tag is `sl-<snapshotId>`. */
export const DiskEvidence = z.object({
  device: z.string(),
  file: z.string(),
  tag: z.string(),
  /** QEMU's number of it inside the file. Reused by QEMU: never an identity. */
  nativeId: z.string(),
  /** The qcow2 date, in ms since 1970. */
  date: z.number(),
  vmClockNs: z.number(),
  vmStateSizeBytes: z.number(),
});
export type DiskEvidence = z.infer<typeof DiskEvidence>;

/** Stands where a tag would. A file that is left over will need a member of its own, lest it be taken for this. */
export const IMAGE_DAMAGED = '';

/** What stayed behind on a disk: something of ours that should not be there, or damage. */
export const Leftover = z.object({
  device: z.string(),
  file: z.string(),
  /** The qcow2 tag; `IMAGE_DAMAGED`, which is no tag, when the image itself is to be repaired, never removed. */
  tag: z.string(),
  /** Why it is still there, in words. */
  why: z.string(),
});
export type Leftover = z.infer<typeof Leftover>;

/** One thing the worker did, for people who watch. */
export const Step = z.object({
  name: z.string(),
  device: z.string().optional(),
  state: z.enum(['done', 'refused', 'unknown', 'skipped']),
  startedAt: z.string(),
  endedAt: z.string(),
});
export type Step = z.infer<typeof Step>;

export const Outcome = z.enum(['undone', 'held']);
export type Outcome = z.infer<typeof Outcome>;

/** How the disks can differ from what the ledger believes. */
export const DriftKind = z.enum([
  /** A complete snapshot is on none of its disks. */
  'missing',
  /** It is on some of them. */
  'partial',
  /** A tag or a file of ours that no live snapshot explains. */
  'orphan',
  /** A tag that is not ours. */
  'foreign',
  /** A tag twice on one disk: nobody can say which is meant. */
  'duplicate',
  /** A snapshot of ours under another tag. */
  'renamed',
  /** The machine stands on another layer than the ledger's; or wrote, so, on what a snapshot holds. */
  'wrong-chain',
  /** The machine stands on what another snapshot holds than the one that it is said to stand on. */
  'wrong-current',
  /** The machine has other disks, so that something does not fit any more. */
  'config-changed',
]);
export type DriftKind = z.infer<typeof DriftKind>;

/** One difference, as a look found it. */
export const Finding = z.object({
  kind: DriftKind,
  snapshotId: z.string().optional(),
  device: z.string().optional(),
  file: z.string().optional(),
  tag: z.string().optional(),
  /** In words, with what can be done about it. */
  message: z.string(),
  /** The tags that the look saw, disk by disk. Empty when what was found is that something is not there. */
  evidence: z.array(DiskEvidence),
});
export type Finding = z.infer<typeof Finding>;

/** A tag, or a file, that bears our name and that no snapshot explains. */
export const Orphan = z.object({
  file: z.string(),
  device: z.string().optional(),
  /** Absent: the file itself. */
  tag: z.string().optional(),
});
export type Orphan = z.infer<typeof Orphan>;

/** Where a snapshot stands after a look. */
export const Standing = z.object({
  snapshotId: z.string(),
  status: z.enum(['complete', 'retired', 'lost', 'suspect']),
  /** A guest has written into what it is read from: no look can call it whole again, only somebody who knows. */
  spoiled: z.literal(true).optional(),
});
export type Standing = z.infer<typeof Standing>;

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

/** What one capture does with one disk. */
export const DiskCapture = z.object({ device: z.string(), mode: CaptureMode });
export type DiskCapture = z.infer<typeof DiskCapture>;

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

/** Why a failed operation failed: one of our refusals, or one of four things only a worker meets. */
export const FailureReason = z.string();

export const Outcome = z.enum(['undone', 'held']);
export type Outcome = z.infer<typeof Outcome>;

import { Refusal } from './refusal.ts';
import type { CaptureMode, DiskCapture } from './shapes.ts';

/** What somebody wants captured. `memory` absent: the default of the power state. */
export interface CaptureWish {
  readonly memory: CaptureMode | undefined;
  readonly disks: readonly DiskCapture[];
  readonly diskOnly: boolean;
}

/** Which of QEMU's means takes the capture. */
export type CaptureMeans = 'qemu-img' | 'savevm' | 'transaction';

export interface CapturePlan {
  readonly means: CaptureMeans;
  readonly memory: CaptureMode;
}

/**
 * The table of the 2012 libvirt commit (docs/snapshot-matrix.md) as a function: memory × disks × power → means.
 *
 * @throws {Refusal} `invalid-combination` for what makes no sense, `unsupported` for what is not built yet
 */
export function planCapture(
  power: 'online' | 'offline',
  { memory, disks, diskOnly }: CaptureWish,
): CapturePlan {
  const captured = disks.filter(({ mode }) => mode !== 'none');
  const wanted = memory ?? (power === 'online' && !diskOnly ? 'internal' : 'none');
  requireSense(power, wanted, diskOnly, captured.length);
  if (wanted === 'external' || captured.some(({ mode }) => mode === 'external')) {
    throw new Refusal('unsupported', 'external snapshots are not built yet');
  }
  if (captured.length === 0) {
    throw new Refusal('unsupported', 'memory without a disk to hold it is not built yet');
  }
  if (power === 'offline') return { means: 'qemu-img', memory: 'none' };
  return { means: wanted === 'internal' ? 'savevm' : 'transaction', memory: wanted };
}

function requireSense(
  power: 'online' | 'offline',
  wanted: CaptureMode,
  diskOnly: boolean,
  disksCount: number,
): void {
  if (power === 'offline' && wanted !== 'none') {
    throw new Refusal('invalid-combination', 'the machine is off: there is no memory to save');
  }
  if (diskOnly && wanted !== 'none') {
    throw new Refusal('invalid-combination', 'disk-only and memory contradict each other');
  }
  if (wanted === 'none' && disksCount === 0) {
    throw new Refusal('invalid-combination', 'nothing to snapshot: neither memory nor a disk was selected');
  }
}

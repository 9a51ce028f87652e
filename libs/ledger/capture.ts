import { Refusal } from './refusal.ts';
import type { CaptureMode, DiskCapture, MemoryFormat } from './shapes.ts';

/** What somebody wants captured. `memory` absent: the default of the power state. */
export interface CaptureWish {
  readonly memory?: CaptureMode | undefined;
  readonly memoryFile?: string | undefined;
  readonly memoryFormat?: MemoryFormat | undefined;
  readonly disks: readonly DiskCapture[];
  readonly diskOnly: boolean;
}

/** Which of QEMU's means capture the disks. */
export type DiskMeans = 'none' | 'qemu-img' | 'savevm' | 'transaction';

/** Where the memory goes: nowhere, into the last disk, into a qcow2 file of its own, or into a migration stream. */
export type MemoryMeans = 'none' | 'in-disk' | 'state-file' | 'stream';

export interface CapturePlan {
  readonly disksBy: DiskMeans;
  readonly memoryBy: MemoryMeans;
  readonly memory: CaptureMode;
}

/**
 * The table of the 2012 libvirt commit (docs/snapshot-matrix.md) as a function: memory × disks × power → means.
 *
 * @throws {Refusal} `invalid-combination` for what makes no sense
 */
export function planCapture(power: 'online' | 'offline', wish: CaptureWish): CapturePlan {
  const captured = wish.disks.filter(({ mode }) => mode !== 'none');
  const memory = wish.memory ?? (power === 'online' && !wish.diskOnly ? 'internal' : 'none');
  requireSense(power, memory, wish.diskOnly, captured.length);
  const areInternal = captured.length > 0 && captured.every(({ mode }) => mode === 'internal');
  requirePlaceForMemory(memory, areInternal, wish);
  if (power === 'offline') return { disksBy: 'qemu-img', memoryBy: 'none', memory };
  if (memory === 'internal' && areInternal) return { disksBy: 'savevm', memoryBy: 'in-disk', memory };
  return {
    disksBy: captured.length === 0 ? 'none' : 'transaction',
    memoryBy: memory === 'none' ? 'none' : wish.memoryFormat === 'stream' ? 'stream' : 'state-file',
    memory,
  };
}

function requireSense(
  power: 'online' | 'offline',
  memory: CaptureMode,
  diskOnly: boolean,
  disksCount: number,
): void {
  if (power === 'offline' && memory !== 'none') {
    throw new Refusal('invalid-combination', 'the machine is off: there is no memory to save');
  }
  if (diskOnly && memory !== 'none') {
    throw new Refusal('invalid-combination', 'disk-only and memory contradict each other');
  }
  if (memory === 'none' && disksCount === 0) {
    throw new Refusal('invalid-combination', 'nothing to snapshot: neither memory nor a disk was selected');
  }
}

function requirePlaceForMemory(
  memory: CaptureMode,
  areInternal: boolean,
  { memoryFile, memoryFormat }: CaptureWish,
): void {
  if (memory === 'none' && (memoryFile !== undefined || memoryFormat !== undefined)) {
    throw new Refusal('invalid-combination', 'a place for the memory is named, but no memory is captured');
  }
  const isNamed = memoryFile !== undefined || memoryFormat === 'state';
  if (memory === 'internal' && areInternal && isNamed) {
    throw new Refusal('invalid-combination', 'internal memory goes into a disk: say "external" for a file');
  }
  if (memory === 'internal' && memoryFormat === 'stream') {
    throw new Refusal('invalid-combination', 'a stream is a file of its own: say memory "external"');
  }
}

import { Refusal, type RefusalCode, type Resume, type Snapshot } from '#ledger';
import { countOf, diskOf, type SeenDisk, type Sight } from './sight.ts';

/** What a load needs to find before it may begin. */
export interface LoadNeeds {
  readonly tag: string;
  /** Every disk that the snapshot names. */
  readonly devices: readonly string[];
  readonly withMemory: boolean;
}

/** A load to carry out: what it needs, and how the machine goes on afterwards. */
export interface LoadWish {
  readonly snapshot: Readonly<Snapshot>;
  readonly resume: Resume;
  readonly needs: LoadNeeds;
  readonly goesOn: 'running' | 'paused';
}

/** What stands against a load. */
export interface Obstacle {
  readonly reason: RefusalCode;
  readonly message: string;
}

/**
 * Why this load would fail half-way, and what to call it; null when nothing stands against it. Every one of these
 * makes QEMU stop the machine first and fail then, some with a part of the disks loaded.
 */
export function whyNotLoadable(sight: Sight, needs: LoadNeeds): Obstacle | null {
  if (sight.busyWith !== null)
    return { reason: 'machine-busy', message: `the machine is busy: ${sight.busyWith}` };
  if (needs.devices.length === 0) {
    return { reason: 'snapshot-damaged', message: 'the ledger knows of no disk that holds the snapshot' };
  }
  for (const device of needs.devices) {
    const disk = diskOf(sight, device);
    if (!disk)
      return {
        reason: 'config-mismatch',
        message: `the machine has no disk "${device}", which the snapshot names`,
      };
    const why = whyNotOnDisk(disk, needs.tag);
    if (why) return why;
  }
  if (needs.withMemory && !memoryDisk(sight, needs)) {
    return {
      reason: 'snapshot-damaged',
      message: 'the snapshot should hold memory, but no disk has any of it',
    };
  }
  return null;
}

function whyNotOnDisk(disk: SeenDisk, tag: string): Obstacle | null {
  const { device, tags, hasDirtyBitmaps } = disk;
  const count = countOf(disk, tag);
  const isLost = !tags.some((seen) => seen.tag === tag && seen.isListed);
  if (isLost) return { reason: 'snapshot-damaged', message: `disk "${device}" has lost the snapshot ${tag}` };
  if (count > 1)
    return { reason: 'snapshot-damaged', message: `disk "${device}" has ${count} snapshots called ${tag}` };
  // QEMU takes a name for an id first, and would load that one.
  if (tags.some(({ nativeId }) => nativeId === tag)) {
    return {
      reason: 'snapshot-damaged',
      message: `disk "${device}" has another snapshot with the id ${tag}`,
    };
  }
  if (hasDirtyBitmaps) {
    return {
      reason: 'not-loadable',
      message: `disk "${device}" has dirty bitmaps, beside which QEMU loads nothing: remove them`,
    };
  }
  return null;
}

/** The disk that holds the memory of the snapshot. */
export const memoryDisk = (sight: Sight, { tag, devices }: LoadNeeds): SeenDisk | undefined =>
  devices
    .flatMap((device) => diskOf(sight, device) ?? [])
    .find((disk) => disk.tags.some((seen) => seen.tag === tag && seen.vmStateSizeBytes > 0));

/**
 * Memory is loaded into the same machine that it was saved from. Its disks are the part that we can compare.
 *
 * @throws {Refusal} `config-mismatch`
 */
export function requireSameDisks(sight: Sight, captured: readonly string[]): void {
  const added = sight.disks.find(({ device, readOnly }) => !readOnly && !captured.includes(device));
  if (!added) return;
  throw new Refusal(
    'config-mismatch',
    `disk "${added.device}" was not there when the memory was saved: unplug it first`,
  );
}

import type { MachineConfig, VmState } from '#ledger';
import type { ImageOptions } from '#qmp';

/** One snapshot inside one disk's image, as a look found it. */
export interface SeenTag {
  readonly tag: string;
  /** QEMU's number of it inside the file. Reused by QEMU: never an identity. */
  readonly nativeId: string;
  /** The qcow2 date, in ms since 1970. */
  readonly dateMs: number;
  readonly vmClockNs: number;
  /** 0 when it holds no memory. */
  readonly vmStateSizeBytes: number;
  /** False for one that stands in the file and that QEMU has forgotten: its next write there removes it. */
  readonly isListed: boolean;
}

/** One disk, as a look found it. */
export interface SeenDisk {
  /** What people call it: drive id, else qdev id, else node name. */
  readonly device: string;
  /** QEMU's name of its top layer; empty when no running QEMU has it open. */
  readonly node: string;
  readonly format: string;
  /** The top layer's file, without symbolic links; not an absolute path when it is no local file. */
  readonly file: string;
  /** The same as whoever told of it calls it. */
  readonly path: string;
  readonly readOnly: boolean;
  readonly tags: readonly SeenTag[];
  readonly hasDirtyBitmaps: boolean;
  readonly virtualSizeBytes: number;
  /** How much more can be written where it lies; null when nobody asked. */
  readonly freeBytes: number | null;
  /** The file right below the top layer, as QEMU or the image's header names it; null when it stands on none. */
  readonly backing: string | null;
  /** Where QEMU's object tree keeps the device; null while no running QEMU has it, or when it has no name there. */
  readonly qdev: string | null;
  /** How QEMU has opened the top layer; absent: as it does when it is told nothing, or not at all. */
  readonly opened?: ImageOptions;
}

/** Everything that is neither running nor off is paused: prelaunch, guest-panicked, shutdown, io-error … */
export type Power = 'running' | 'paused' | 'off';

const VM_STATES: Readonly<Record<Power, VmState>> = { running: 'running', paused: 'paused', off: 'shutoff' };

/** The machine's power in the ledger's words. */
export const vmStateOf = (power: Power): VmState => VM_STATES[power];

/** A job of ours in QEMU's list. QEMU keeps it there until it is dismissed. */
export interface OwnJob {
  readonly id: string;
  readonly hasConcluded: boolean;
  /** Why it failed, in QEMU's words; null when it did not. */
  readonly error: string | null;
}

/** What one look found. */
export interface Sight {
  readonly power: Power;
  /** QEMU's own word for how the machine stands; null when it is off. */
  readonly runState: string | null;
  readonly disks: readonly SeenDisk[];
  /** A job or migration that is not ours, in words. */
  readonly busyWith: string | null;
  readonly ownJobs: readonly OwnJob[];
  /** What the machine consists of, where the look asked for that too; null when its QEMU does not tell. */
  readonly machine?: MachineConfig | null;
}

/** How often a tag stands on a disk. QEMU allows the same one twice. */
export const countOf = (disk: Pick<SeenDisk, 'tags'>, tag: string): number =>
  disk.tags.filter((seen) => seen.tag === tag).length;

/** Whether a tag stands on a disk exactly once, and will stay there. */
export const hasForGood = (disk: SeenDisk, tag: string): boolean =>
  countOf(disk, tag) === 1 && disk.tags.some((seen) => seen.tag === tag && seen.isListed);

/** Whether QEMU lists all of these that it should: what it has forgotten still stands in a file. */
export const listsAll = (
  sight: Sight,
  evidence: readonly { readonly device: string; readonly file: string; readonly tag: string }[],
): boolean =>
  evidence.every(({ device, file, tag }) => {
    const disk = diskOf(sight, device);
    return disk?.file !== file || countOf(disk, tag) > 0;
  });

/** Whether an image lies where we can read it ourselves. Network disks and the like can only be seen through QEMU. */
export const isLocalFile = (file: string): boolean => file.startsWith('/');

/** Whether a tag can be put on the disk, and be looked for in its file afterwards. */
export const canHoldTags = ({
  format,
  file,
  readOnly,
}: Pick<SeenDisk, 'format' | 'file' | 'readOnly'>): boolean =>
  format === 'qcow2' && isLocalFile(file) && !readOnly;

/** The disk of a device; undefined when the machine has none such. */
export const diskOf = (sight: Sight, device: string): SeenDisk | undefined =>
  sight.disks.find((disk) => disk.device === device);

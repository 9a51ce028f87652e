import { Refusal, type RefusalCode, type Resume, type Snapshot } from '#ledger';
import { NotNow } from '../not-now.ts';
import { countOf, diskOf, type SeenDisk, type SeenTag, type Sight } from '../look/sight.ts';

/** What a load is to bring back, as it was asked for. */
export interface LoadAsk {
  readonly snapshot: Readonly<Snapshot>;
  readonly resume: Resume;
  /** How the machine goes on afterwards. */
  readonly goesOn: 'running' | 'paused';
  /** Whether memory is to be loaded, wherever it is. */
  readonly withMemory: boolean;
}

/** What a load needs to find in the tops of the disks before it may begin. */
export interface LoadNeeds {
  readonly tag: string;
  /** Every disk that holds the snapshot inside its top. */
  readonly devices: readonly string[];
  /** Whether one of them holds the memory. */
  readonly withMemory: boolean;
}

/** A load to carry out. */
export interface LoadWish extends LoadAsk {
  readonly needs: LoadNeeds;
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
  for (const device of needs.devices) {
    const disk = diskOf(sight, device);
    if (!disk)
      return {
        reason: 'config-mismatch',
        message: `the machine has no disk "${device}", which the snapshot names`,
      };
    const why = whyNotInImage(`disk "${device}"`, disk, needs.tag);
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

/**
 * The same of a load that was begun: trying once more does not help.
 *
 * @throws {NotNow} when it is only that somebody else works on the machine
 */
export function whyHopeless(sight: Sight, needs: LoadNeeds): Obstacle | null {
  const obstacle = whyNotLoadable(sight, needs);
  if (obstacle?.reason === 'machine-busy') throw new NotNow('machine-busy', obstacle.message);
  return obstacle;
}

/** Why an image cannot be taken back to a tag. `where` says in words which image it is. */
export function whyNotInImage(
  where: string,
  image: { readonly tags: readonly SeenTag[]; readonly hasDirtyBitmaps: boolean },
  tag: string,
): Obstacle | null {
  const { tags, hasDirtyBitmaps } = image;
  const count = countOf(image, tag);
  const isLost = !tags.some((seen) => seen.tag === tag && seen.isListed);
  if (isLost) return { reason: 'snapshot-damaged', message: `${where} has lost the snapshot ${tag}` };
  if (count > 1)
    return { reason: 'snapshot-damaged', message: `${where} has ${count} snapshots called ${tag}` };
  // QEMU takes a name for an id first, and would load that one.
  if (tags.some((seen) => seen.nativeId === tag && seen.tag !== tag)) {
    return { reason: 'snapshot-damaged', message: `${where} has another snapshot with the id ${tag}` };
  }
  if (hasDirtyBitmaps) {
    return {
      reason: 'not-loadable',
      message: `${where} has dirty bitmaps, beside which QEMU loads nothing: remove them`,
    };
  }
  return null;
}

/** The disk that holds the memory of the snapshot. */
export const memoryDisk = (
  sight: Sight,
  { tag, devices }: Pick<LoadNeeds, 'tag' | 'devices'>,
): SeenDisk | undefined =>
  devices
    .flatMap((device) => diskOf(sight, device) ?? [])
    .find((disk) => disk.tags.some((seen) => seen.tag === tag && seen.vmStateSizeBytes > 0));

/**
 * A disk is not always a device of its own in QEMU's object tree, so its disks are compared beside its configuration.
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

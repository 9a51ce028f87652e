import { type Disk, Refusal } from '#ledger';
import { backingOf, realFile, seenTag } from './devices.ts';
import type { Access, Images } from '../qemu/images.ts';
import { NotNow } from '../not-now.ts';
import type { Place } from '../place.ts';
import { isLocalFile, type SeenDisk, type SeenTag, type Sight } from './sight.ts';

/** Where images are looked at. */
type Shelf = Pick<Place, 'world' | 'images' | 'monitor' | 'disks'>;

/** What the images of a machine that is off hold. Throws as `look` does. */
export async function lookAtImages(place: Shelf, access: Access): Promise<Sight> {
  const disks: SeenDisk[] = [];
  for (const disk of place.disks) {
    const seen = await lookAtImage(place, disk, access);
    if (seen) disks.push(seen);
  }
  return { power: 'off', runState: null, disks, busyWith: null, ownJobs: [] };
}

/** Null when its file is gone, and the disk with it. */
async function lookAtImage(place: Shelf, disk: Disk, access: Access): Promise<SeenDisk | null> {
  const { world, images, monitor } = place;
  const { device, node, format, readOnly } = disk;
  const file = await realFile(world.files, disk.file);
  const known = { device, node, format, file, path: disk.file, readOnly, backing: null, qdev: null };
  if (readOnly || !isLocalFile(file))
    return { ...known, tags: [], hasDirtyBitmaps: false, virtualSizeBytes: 0, freeBytes: null };
  if ((await world.files.stat(file)) === null) return null;
  const seen = await images.info({ file, format }, access);
  switch (seen.kind) {
    case 'locked':
      throw new NotNow('host-unreachable', `nobody listens at ${monitor}, yet somebody uses ${file}`);
    case 'unreadable':
      throw new Refusal('disk-unsupported', `disk "${device}" (${file}, ${format}): ${seen.words}`);
    case 'seen':
      return {
        ...known,
        tags: seen.info.snapshots.map(seenTag),
        hasDirtyBitmaps: seen.hasDirtyBitmaps,
        virtualSizeBytes: seen.info.virtualSizeBytes,
        freeBytes: null,
        backing: await backingOf(world.files, seen.info),
      };
  }
}

/** The disk, with every tag that its file has or that QEMU lists. */
export async function withTagsOfFile(images: Images, disk: SeenDisk): Promise<SeenDisk> {
  if (disk.format !== 'qcow2' || !isLocalFile(disk.file)) return disk;
  const seen = await images.info(disk, 'shared');
  if (seen.kind !== 'seen') return disk; // The file was moved or unlinked under QEMU, whose list is all there is.
  const inFile = seen.info.snapshots
    .map(seenTag)
    .map((tag) => ({ ...tag, isListed: disk.tags.some((listed) => isSame(listed, tag)) }));
  const onlyListed = disk.tags.filter((listed) => !inFile.some((tag) => isSame(listed, tag)));
  return { ...disk, tags: [...inFile, ...onlyListed] };
}

const isSame = (one: SeenTag, other: SeenTag): boolean =>
  one.tag === other.tag && one.nativeId === other.nativeId;

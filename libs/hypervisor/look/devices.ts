import type { BlockDevice, DiskSnapshot } from '#qmp';
import { type Files, FileTrouble } from '#world';
import { isLocalFile, type SeenDisk, type SeenTag } from './sight.ts';

/**
 * QEMU's block devices as disks, each under a device name of its own. `known` are those of a look shortly before: a
 * path that led to a file then is not followed again.
 */
export async function seenDisks(
  files: Files,
  blocks: readonly BlockDevice[],
  known: readonly SeenDisk[],
): Promise<SeenDisk[]> {
  const found = await Promise.all(
    blocks.map(({ file: path }) => known.find((disk) => disk.path === path) ?? foundAt(files, path)),
  );
  const disks = new Map<string, SeenDisk>();
  for (const [index, block] of blocks.entries()) {
    const wanted = deviceOf(block);
    const device = disks.has(wanted) ? block.nodeName : wanted; // A drive and a device may bear one id.
    disks.set(device, {
      device,
      node: block.nodeName,
      format: block.driver,
      file: found[index]?.file ?? block.file,
      path: block.file,
      readOnly: block.readOnly,
      tags: block.snapshots.map(seenTag),
      hasDirtyBitmaps: block.hasDirtyBitmaps,
      virtualSizeBytes: block.virtualSizeBytes,
      freeBytes: found[index]?.freeBytes ?? null,
      backing: await backingOf(files, block),
      qdev: block.qdev,
      ...(block.opened && { opened: block.opened }),
    });
  }
  return [...disks.values()];
}

/** Both are waited for together: each is a wait for a thread. */
async function foundAt(files: Files, path: string): Promise<Pick<SeenDisk, 'file' | 'freeBytes'>> {
  const [file, freeBytes] = await Promise.all([realFile(files, path), freeBytesAt(files, path)]);
  return { file, freeBytes };
}

async function freeBytesAt(files: Files, path: string): Promise<number | null> {
  if (!isLocalFile(path)) return null;
  try {
    return await files.freeBytes(path);
  } catch (error) {
    if (error instanceof FileTrouble) return null; // QEMU has an image open that has lost its name.
    throw error;
  }
}

/** Where the file right below a layer really is; null when it stands on none. */
export const backingOf = async (
  files: Files,
  { backingFile }: Pick<BlockDevice, 'backingFile'>,
): Promise<string | null> => (backingFile === null ? null : realFile(files, backingFile));

/** Two paths to one image must not look like two images. */
export const realFile = async (files: Files, file: string): Promise<string> =>
  isLocalFile(file) ? ((await files.realpath(file)) ?? file) : file;

export const seenTag = (snapshot: DiskSnapshot): SeenTag => ({
  tag: snapshot.name,
  nativeId: snapshot.id,
  dateMs: snapshot.dateSec * 1_000 + Math.floor(snapshot.dateNsec / 1_000_000),
  vmClockNs: snapshot.vmClockSec * 1_000_000_000 + snapshot.vmClockNsec,
  vmStateSizeBytes: snapshot.vmStateSize,
  isListed: true,
});

/** Drive id, else the device's own id, else the node name. */
const deviceOf = ({ device, qdev, nodeName }: BlockDevice): string => device || idOf(qdev ?? '') || nodeName;

const PERIPHERAL = /^\/machine\/peripheral\/([^/]+)/;

/** A path in QEMU's object tree names an id only under `peripheral`; elsewhere it is a number that may change. */
function idOf(qdev: string): string {
  return qdev.startsWith('/') ? (PERIPHERAL.exec(qdev)?.[1] ?? '') : qdev;
}

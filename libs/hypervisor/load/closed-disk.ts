import type { Disk } from '#ledger';
import { QmpRefused } from '#qmp';
import { realFile } from '../look/devices.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import {
  addNode,
  addPlaceholder,
  nodeNameOf,
  type OpenAs,
  openNodes,
  removeNode,
  removeNodeNow,
  setDrive,
} from '../qemu/graph.ts';
import type { ImageAt } from '../qemu/images.ts';
import { withTagsOfFile } from '../look/look-at-images.ts';
import type { Place } from '../place.ts';
import type { SeenDisk, Sight } from '../look/sight.ts';

/* An image that QEMU has open cannot be worked on by anybody else. So while the machine stands still, its device is
   given something else to hold, and the image is closed. I/O limits belong to the device: they stay (QEMU 7.2). */

/** What a device is to hold again: an image, and the node name that QEMU knew it by. */
export type DeviceImage = ImageAt & { readonly node: string };

export interface Closing {
  /** The disk as the last look found it, which may be on a placeholder already. */
  readonly seen: SeenDisk;
  /** What belongs there. */
  readonly image: DeviceImage;
  /** The disk's number in its operation. */
  readonly index: number;
  /** Whether `makePlaceholder` was called for it. */
  readonly isPrepared?: boolean;
}

/** An image of each disk is closed at most once at a time, so a disk's number in its operation is enough. */
export const placeholderOf = (operationId: string, index: number): string =>
  nodeNameOf(operationId, index).replace('-', '-p');

const PLACEHOLDER = /^sl[0-9a-f]{24}-p\d+$/;

/** Whether a look found the device holding a placeholder: somebody died while its image was closed. */
export const isClosed = ({ node }: Pick<SeenDisk, 'node'>): boolean => PLACEHOLDER.test(node);

/** The sight, with the image that belongs there wherever a placeholder is. Its node stays the placeholder's. */
export async function behindPlaceholders(
  { images }: Place,
  known: readonly Disk[],
  sight: Sight,
): Promise<Sight> {
  const disks = await Promise.all(
    sight.disks.map(async (seen) => {
      const disk = known.find(({ device }) => device === seen.device);
      if (!disk || !isClosed(seen)) return seen;
      const { file, format } = disk;
      return withTagsOfFile(images, { ...seen, file, format });
    }),
  );
  return { ...sight, disks: disks.map((disk) => (isClosed(disk) ? allListed(disk) : disk)) };
}

/** QEMU lists nothing of an image that it has not open, and has not forgotten anything of it either. */
const allListed = (disk: SeenDisk): SeenDisk => ({
  ...disk,
  tags: disk.tags.map((tag) => ({ ...tag, isListed: true })),
});

/** Makes the placeholder while the machine still runs: what QEMU refuses of it is known before anything stops. */
export async function makePlaceholder(
  { place, operationId }: Errand,
  { seen, index }: { seen: SeenDisk; index: number },
): Promise<void> {
  const placeholder = placeholderOf(operationId, index);
  await removeNode(place, placeholder); // Of a worker that died before it was used.
  await addPlaceholder(place, placeholder, seen);
}

/**
 * Closes one device's whole chain while the machine stands still, runs `work`, and opens it again: the same file,
 * under the same node name, with all that its header names. When the work fails the image is opened again all the same.
 * Whatever dies in between, a look finds the device on its placeholder, and calling this again goes on from there.
 *
 * Throws what QEMU refuses, and what `work` throws.
 */
export async function whileClosed<T>(errand: Errand, closing: Closing, work: () => Promise<T>): Promise<T> {
  const { world } = errand.place;
  const { seen, image } = closing;
  await pass(world, 'hypervisor.before-act');
  const placeholder = await errand.steps.take('close the image', seen.device, () => close(errand, closing));
  await pass(world, 'hypervisor.after-act');
  try {
    return await work();
  } finally {
    // Whoever dies before this is found by a look; whoever fails leaves the device what it had.
    await errand.steps.take('open the image again', seen.device, () =>
      reopen(errand.place, {
        qdev: seen.qdev ?? seen.device,
        image: { ...image, opened: seen.opened },
        placeholder,
      }),
    );
  }
}

/** The name of the placeholder that the device holds from now on. */
async function close(errand: Errand, { seen, image, index, isPrepared = false }: Closing): Promise<string> {
  const { place, operationId } = errand;
  const placeholder = isClosed(seen) ? seen.node : placeholderOf(operationId, index);
  if (!isClosed(seen)) {
    if (!isPrepared) await makePlaceholder(errand, { seen, index });
    await setDrive(place, seen.qdev ?? seen.device, placeholder);
  }
  try {
    await closeChain(place, image.file);
  } catch (error) {
    if (!(error instanceof QmpRefused)) throw error;
    await setDrive(place, seen.qdev ?? seen.device, image.node); // Somebody else uses the image: it stays open.
    await removeNode(place, placeholder);
    throw error;
  }
  return placeholder;
}

async function reopen(
  place: Place,
  { qdev, image, placeholder }: { qdev: string; image: OpenAs; placeholder: string },
): Promise<void> {
  await addNode(place, image, 'with-chain');
  await setDrive(place, qdev, image.node);
  await removeNode(place, placeholder);
}

/**
 * Closes an image that no device uses and all below it that nothing else uses. QEMU closes by itself what it opened by
 * itself; what somebody gave a name stays open until it is told.
 *
 * Throws what QEMU refuses when the image itself is still in use.
 */
export async function closeChain(place: Place, file: string): Promise<void> {
  let open = await namedNodesUnder(place, file);
  for (;;) {
    const busy: Busy[] = [];
    for (const { node, isTop } of open) {
      const why = await whyOpen(place, node);
      if (why) busy.push({ node, isTop, why });
    }
    if (busy.length === 0) return;
    if (busy.length === open.length) {
      const top = busy.find(({ isTop }) => isTop);
      if (top) throw top.why;
      return; // Another device stands on these.
    }
    open = busy; // What was in use may have been so only by what is closed by now.
  }
}

interface Named {
  readonly node: string;
  /** Whether it is the image itself, or its file. */
  readonly isTop: boolean;
}
type Busy = Named & { readonly why: QmpRefused };

async function whyOpen(place: Place, node: string): Promise<QmpRefused | null> {
  try {
    await removeNodeNow(place, node);
    return null;
  } catch (error) {
    if (error instanceof QmpRefused) return error;
    throw error;
  }
}

/** Nodes that somebody named, whose file is in the chain. QEMU's own names begin with #. */
async function namedNodesUnder(place: Place, file: string): Promise<Named[]> {
  const { files } = place.world;
  const nodes = await Promise.all(
    (await openNodes(place)).map(async (node) => ({
      node: node.nodeName,
      file: await realFile(files, node.file),
      backing: node.backingFile === null ? null : await realFile(files, node.backingFile),
    })),
  );
  const chain = new Set<string>();
  for (let next: string | null = file; next !== null && !chain.has(next);) {
    const current: string = next;
    chain.add(current);
    next = nodes.find((node) => node.file === current && node.backing !== null)?.backing ?? null;
  }
  return nodes
    .filter((node) => chain.has(node.file) && !node.node.startsWith('#'))
    .map(({ node, file: at }) => ({ node, isTop: at === file }));
}

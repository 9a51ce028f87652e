import { posix } from 'node:path';
import { type LayerChange, type Leftover, type PlannedLayer, tagOn } from '#ledger';
import { isClosed, whileClosed } from './closed-disk.ts';
import { together } from '../together.ts';
import type { Errand } from '../errand.ts';
import { layersWith } from '../create/evidence.ts';
import { pass } from '../fault-points.ts';
import { addNode, removeNode, setDrive } from '../qemu/graph.ts';
import { type ImageAt, ImageRefused } from '../qemu/images.ts';
import type { Start } from '../journal.ts';
import type { LoadWish } from './load-check.ts';
import { holdsMemory } from './load-plan.ts';
import { diskOf, type SeenDisk, type Sight } from '../look/sight.ts';
import { troubleIn } from '../trouble.ts';
import { unlinkForGood } from '../unlink-for-good.ts';

/* The new tops that a load puts under disks whose snapshot does not lie in the top they have. */

export const topsOf = ({ overlays = [] }: Start): readonly PlannedLayer[] => overlays;

/** Whether the device uses its new top by now. */
export const isInPlace = (sight: Sight, { device, file }: PlannedLayer): boolean => {
  const seen = diskOf(sight, device);
  return seen !== undefined && seen.file === file && !isClosed(seen);
};

/**
 * Makes the files of the tops that no device uses yet, anew if need be, and opens them if QEMU is there. The machine
 * may run meanwhile. Throws what QEMU and qemu-img refuse.
 */
export async function makeTops(errand: Errand, start: Start, wish: LoadWish, sight: Sight): Promise<void> {
  const { place, steps } = errand;
  const tops = topsOf(start).filter((top) => !isInPlace(sight, top));
  const isOn = sight.power !== 'off';
  await Promise.all((isOn ? tops : []).map(({ node }) => removeNode(place, node))); // Of a try that died.
  await together(tops.map((top) => () => makeFile(errand, start, wish, top)));
  for (const top of isOn ? tops : []) {
    await pass(place.world, 'hypervisor.before-act');
    await steps.take('open the new top', top.device, () =>
      addNode(place, { ...top, opened: diskOf(sight, top.device)?.opened }, 'with-chain'),
    );
    await pass(place.world, 'hypervisor.after-act');
  }
}

/** Whatever lies there is of an earlier try: the name is this operation's own. */
async function makeFile(errand: Errand, start: Start, wish: LoadWish, top: PlannedLayer): Promise<void> {
  const { place, steps } = errand;
  await place.world.files.unlink(top.file);
  if (top.by === 'copy') {
    await steps.take('copy the layer with the snapshot', top.device, () =>
      place.images.copy(top.source ?? '', top.file),
    );
    const tag = tagOn(wish.snapshot);
    const isForMemory = holdsMemory(wish, top, start);
    if (!isForMemory) await steps.take('load the copy', top.device, () => place.images.load(top, tag));
    await forgetTags(errand, top, isForMemory ? tag : null);
  } else {
    await steps.take('create the overlay', top.device, () => createOn(errand, top));
  }
  await place.world.files.syncDirectory(posix.dirname(top.file));
}

async function createOn({ place, vm }: Errand, top: PlannedLayer): Promise<void> {
  const below: ImageAt = {
    file: top.backing ?? '',
    format: vm.layers.get(top.backing ?? '')?.format ?? 'qcow2',
  };
  const seen = await place.images.info(below, 'shared');
  if (seen.kind !== 'seen') throw new ImageRefused(seen.words);
  await place.images.create(top, seen.info.virtualSizeBytes, below);
}

/**
 * A copy is nobody's snapshots: those stay where they were copied from. Only the one that QEMU is to load the memory
 * from stays in it until that is done.
 */
async function forgetTags({ place }: Errand, top: PlannedLayer, kept: string | null): Promise<void> {
  const seen = await place.images.info(top, 'alone');
  if (seen.kind !== 'seen') throw new ImageRefused(seen.words);
  for (const { name } of seen.info.snapshots) if (name !== kept) await place.images.remove(top, name);
}

/**
 * Puts the new tops under their devices, which stand still. One that is in use already is made anew behind a
 * placeholder: nobody can tell what was written into it. `touched` is called once a device has left what it had. Throws
 * what QEMU and qemu-img refuse.
 */
export async function putTops(
  errand: Errand,
  { start, wish }: { readonly start: Start; readonly wish: LoadWish },
  sight: Sight,
  touched: () => void,
): Promise<void> {
  for (const [index, top] of topsOf(start).entries()) {
    const seen = diskOf(sight, top.device);
    if (!seen) continue; // Unplugged since: what it should hold is in the file, and the file is its top.
    if (isInPlace(sight, top)) {
      await whileClosed(errand, { seen, image: top, index }, () => makeFile(errand, start, wish, top));
    } else {
      await putTop(errand, top, seen);
      touched();
    }
  }
}

async function putTop({ place, steps }: Errand, top: PlannedLayer, seen: SeenDisk): Promise<void> {
  await pass(place.world, 'hypervisor.before-act');
  await steps.take('put the new top under the device', top.device, () =>
    setDrive(place, seen.qdev ?? '', top.node),
  );
  if (isClosed(seen)) await removeNode(place, seen.node);
  await pass(place.world, 'hypervisor.after-act');
}

/** Closes and unlinks the tops that no device uses. What is left of them is told. */
export async function dropTops(errand: Errand, start: Start, sight: Sight): Promise<Leftover[]> {
  const { place, steps } = errand;
  const leftovers: Leftover[] = [];
  for (const top of topsOf(start)) {
    if (isInPlace(sight, top)) continue;
    const { device, file, node } = top;
    if (sight.power !== 'off') await troubleIn(() => removeNode(place, node)); // Open or not, it is of no use.
    const trouble = await troubleIn(() =>
      steps.take('unlink the new file', device, () => unlinkForGood(place.world, file)),
    );
    if (trouble) leftovers.push({ device, file, tag: '', why: trouble.words });
  }
  return leftovers;
}

/** How the layers stand now that these tops are in use; undefined when none is. */
export function layersOf(tops: readonly PlannedLayer[]): LayerChange | undefined {
  return tops.length === 0 ? undefined : layersWith(tops, null);
}

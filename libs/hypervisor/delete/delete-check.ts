import { posix } from 'node:path';
import { type DiskEvidence, type Fold, type Layer, Refusal, type Vm } from '#ledger';
import { FREE_BYTES_MIN } from '../bounds.ts';
import { runStateThroughMonitor } from '../look/look-through-monitor.ts';
import { whyNotAsKnown } from '../look/chain-check.ts';
import type { DeletePlan, TagInFile } from './delete-plan.ts';
import type { Errand } from '../errand.ts';
import { requireSound } from '../load/load-files.ts';
import { seenLocked } from '../qemu/seen-locks.ts';
import { chainWith, lookAtOpenImages, type OpenImages } from '../look/open-images.ts';
import { countOf, diskOf, type Sight } from '../look/sight.ts';
import { together } from '../together.ts';

/**
 * Nothing is copied between layers that are not what the ledger believes, nor where the copy would not fit.
 *
 * @throws {Refusal} `snapshot-damaged`, `no-space`, `needs-power-off`
 */
export async function requireFoldable(
  errand: Errand,
  vm: Pick<Vm, 'layers' | 'disks'>,
  plan: DeletePlan,
  sight: Sight,
): Promise<void> {
  const layers = [...new Set(plan.folds.flatMap(layersOfFold))];
  if (layers.length === 0) return;
  const open = await lookAtOpenImages(errand.place, sight.power);
  const why = await whyNotAsKnown(errand, vm, { layers, open, power: sight.power });
  if (why !== null) throw new Refusal('snapshot-damaged', `the layers are not as they were left: ${why}`);
  await requireOpened(errand, layers, open);
  // What the machine writes may need a repair, which its next start brings.
  const frozen = layers.filter(({ file }) => !vm.disks.some((disk) => disk.file === file));
  await together(frozen.map((layer) => () => requireSound(errand.place, layer)));
  await requireRoom(errand, plan.folds);
}

/**
 * Whoever has put another file in the place of one that QEMU has open leaves QEMU copying into, or from, a file without
 * a name. QEMU locks what it has open; a machine that locks nothing is not judged by that.
 *
 * @throws {Refusal} `snapshot-damaged`
 */
async function requireOpened(
  { place: { images, line, world } }: Errand,
  layers: readonly Layer[],
  open: OpenImages,
): Promise<void> {
  const opened = layers.filter(({ file }) => chainWith(open, file));
  const seen = await seenLocked(
    world.files,
    opened.map(({ file }) => file),
  );
  const areUsed = await together(
    opened.map((layer) => async () => seen.has(layer.file) || images.isInUse(layer)),
  );
  const replaced = opened[areUsed.indexOf(false)]?.file;
  if (replaced === undefined || !areUsed.includes(true)) return;
  await runStateThroughMonitor(line.held); // One that has died meanwhile locks nothing any more.
  const words = `${replaced} is not the file any more that QEMU has open: somebody has put another one in its place`;
  throw new Refusal('snapshot-damaged', words);
}

const layersOfFold = (fold: Fold): Layer[] => [
  fold.how === 'pull' ? fold.into : fold.from,
  ...fold.run,
  ...(fold.base ? [fold.base] : []),
];

/** A copy takes no more than what is copied, and a machine whose disk is full stands still. */
async function requireRoom({ place }: Errand, folds: readonly Fold[]): Promise<void> {
  const { files } = place.world;
  const needed = new Map<string, { at: string; bytes: number }>();
  for (const fold of folds) {
    const target = fold.how === 'pull' ? fold.into.file : fold.base.file;
    const copied = fold.how === 'pull' ? fold.run : [fold.from, ...fold.run];
    const sizes = await Promise.all(copied.map(({ file }) => files.stat(file)));
    const bytes = sizes.reduce((sum, size) => sum + (size?.sizeBytes ?? 0), 0);
    const device = (await files.stat(target))?.identity.split(':')[0] ?? target;
    needed.set(device, { at: target, bytes: bytes + (needed.get(device)?.bytes ?? FREE_BYTES_MIN) });
  }
  for (const { at, bytes } of needed.values()) {
    const freeBytes = await files.freeBytes(posix.dirname(at));
    if (freeBytes >= bytes) continue;
    throw new Refusal(
      'no-space',
      `${freeBytes} bytes are free where ${at} lies, and up to ${bytes} are needed`,
    );
  }
}

/** What a read-only disk holds is a copy that somebody attached. @throws {Refusal} `disk-unsupported` */
export function requireWritable(sight: Sight, { device, tag }: DiskEvidence): void {
  const disk = diskOf(sight, device);
  if (!disk?.readOnly || countOf(disk, tag) === 0) return;
  throw new Refusal('disk-unsupported', `disk "${device}", which holds ${tag}, is read-only`);
}

/**
 * An image can be closed under a running machine only when it has a name of ours or the operator's.
 *
 * @throws {Refusal} `needs-power-off`
 */
export function requireClosable(sight: Sight, buried: readonly TagInFile[]): void {
  if (sight.power === 'off') return;
  for (const { device, tag } of buried) {
    const disk = diskOf(sight, device);
    if (!disk || (disk.qdev !== null && !disk.node.startsWith('#'))) continue;
    throw new Refusal(
      'needs-power-off',
      `${tag} lies under what disk "${device}" writes, and QEMU cannot close that disk: power the machine off`,
    );
  }
}

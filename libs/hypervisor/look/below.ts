import type { Layer } from '#ledger';
import { backingOf } from './devices.ts';
import type { ImageAt } from '../qemu/images.ts';
import type { Place } from '../place.ts';
import { isLocalFile, type Sight } from './sight.ts';

/** More than anybody builds; and headers may lead in a circle. */
const CHAIN_MAX = 200;

/** An image, and the file that its header names below it. */
export type StandingImage = ImageAt & { readonly backing: string | null };

/**
 * Files that a machine reads and does not write: its read-only images, and what its images stand on by their headers, as
 * far down as headers tell. Not those that are `known` as its layers. Throws as `look` does.
 */
export async function filesBelow(
  place: Place,
  { disks }: Pick<Sight, 'disks'>,
  known: {
    readonly layers: ReadonlyMap<string, Pick<Layer, 'format'>>;
    readonly images: readonly StandingImage[];
  },
): Promise<string[]> {
  const local = disks.filter(({ file }) => isLocalFile(file));
  const readOnly = local.filter((disk) => disk.readOnly);
  const below = new Set(readOnly.map(({ file }) => file));
  const standing = await Promise.all(
    readOnly.map(({ file, format }) => standingImage(place, { file, format })),
  );
  const tops = local.filter((disk) => !disk.readOnly);
  for (const image of [...tops, ...known.images, ...standing]) {
    let next: StandingImage | null = image;
    for (let depth = 0; next?.backing && depth < CHAIN_MAX; depth += 1) {
      if (!known.layers.has(next.backing)) below.add(next.backing);
      next = await imageBelow(place, next, known.layers.get(next.backing)?.format);
    }
  }
  return [...below].toSorted();
}

async function imageBelow(
  place: Place,
  { file, format, backing }: StandingImage,
  known: string | undefined,
): Promise<StandingImage | null> {
  if (backing === null || !isLocalFile(backing)) return null;
  const seen = known === undefined ? await place.images.info({ file, format }, 'shared') : null;
  const told = known ?? (seen?.kind === 'seen' ? seen.info.backingFormat : null);
  return told ? standingImage(place, { file: backing, format: told }) : null; // A format is told, never guessed.
}

async function standingImage({ images, world }: Place, at: ImageAt): Promise<StandingImage> {
  const seen = await images.info(at, 'shared');
  return { ...at, backing: seen.kind === 'seen' ? await backingOf(world.files, seen.info) : null };
}

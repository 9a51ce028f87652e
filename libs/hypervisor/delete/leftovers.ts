import { IMAGE_DAMAGED, type Leftover } from '#ledger';
import { lookDeep, reach } from '../look/look.ts';
import type { Place } from '../place.ts';
import { settle, whyDamaged } from '../look/mend.ts';
import { removeTag } from './removal.ts';
import { countOf, type SeenDisk, type Sight } from '../look/sight.ts';
import { troubleIn } from '../trouble.ts';
import { presenceOf } from '../unlink-for-good.ts';

/**
 * Tries once more to remove what an operation left behind, and to repair the images that it left damaged. Returns
 * those that a look finds gone afterwards, whoever removed them.
 *
 * @throws {NotNow} when the machine cannot be looked at
 */
export async function removeLeftovers(place: Place, leftovers: readonly Leftover[]): Promise<Leftover[]> {
  if (leftovers.length === 0) return [];
  if (!(await reach(place))) await settle(place);
  const before = await lookDeep(place);
  for (const { disk, tag } of stillThere(before, leftovers)) {
    if (tag !== IMAGE_DAMAGED) await troubleIn(() => removeTag(place, before.power, { disk, tag }));
  }
  const after = await lookDeep(place);
  const gone: Leftover[] = [];
  for (const leftover of leftovers) if (await isGone(place, after, leftover)) gone.push(leftover);
  return gone;
}

const stillThere = (sight: Sight, leftovers: readonly Leftover[]): { disk: SeenDisk; tag: string }[] =>
  leftovers.flatMap(({ file, tag }) =>
    sight.disks.filter((disk) => disk.file === file && countOf(disk, tag) > 0).map((disk) => ({ disk, tag })),
  );

/** Of a disk that the machine no longer has nothing is known, so it stays named, unless it is a file that is gone. */
async function isGone(
  { images, world }: Place,
  { disks, power }: Sight,
  { file, tag }: Leftover,
): Promise<boolean> {
  const disk = disks.find((disk) => disk.file === file);
  if (!disk) return tag === IMAGE_DAMAGED && (await presenceOf(world, file)) === 'gone';
  if (tag !== IMAGE_DAMAGED) return countOf(disk, tag) === 0;
  return power === 'off' && (await whyDamaged(images, disk, 'needed')) === null;
}

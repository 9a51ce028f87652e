import type { Leftover } from '#ledger';
import type { DeleteInternalSnapshot } from '#qmp';
import { JOB_TIMEOUT_MS, REMOVAL_PAUSE_MS, REMOVAL_ROUNDS_MAX } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Start } from '../journal.ts';
import type { Place } from '../place.ts';
import { glance, observeTrouble, withUnplugged } from '../look/observe.ts';
import { countOf, hasForGood, type Power, type SeenDisk, type Sight } from '../look/sight.ts';
import { type Trouble, troubleIn } from '../trouble.ts';

/** A tag of ours on a disk, where it should be no more. */
export interface Standing {
  readonly disk: SeenDisk;
  readonly tag: string;
}

/**
 * Where the tags stand, tag by tag, so that one snapshot is gone from all disks before the next one begins. What a
 * read-only disk holds is a copy that somebody attached.
 */
export function standing({ disks }: Sight, tags: readonly string[]): Standing[] {
  const writable = disks.filter(({ readOnly }) => !readOnly);
  return tags.flatMap((tag) =>
    writable.filter((disk) => countOf(disk, tag) > 0).map((disk) => ({ disk, tag })),
  );
}

/** What is left, and the last thing that was said about it. */
export interface Rest {
  readonly leftovers: Leftover[];
  /** Whether every one of them is as it was: QEMU has not forgotten any, which its next write would remove. */
  readonly isWhole: boolean;
  readonly trouble: Trouble | null;
}

/**
 * Takes tags off every disk that has them, looking after each round, until none is left or the rounds are over.
 * Rolls forward: what one disk refuses does not keep the others. `sight` is the look that the first round rests on;
 * `trust` says whether QEMU's own list is believed when everything went well.
 *
 * @throws {NotNow} when QEMU does not answer: the operation stays open and the next run looks first
 */
export async function removeTags(
  errand: Errand,
  { start, tags, trust }: { start: Start; tags: readonly string[]; trust: 'listed' | 'in-files' },
  sight: Sight,
): Promise<Rest> {
  let seen = sight;
  const words = new Map<string, Trouble>();
  for (let round = 1; ; round += 1) {
    const left = standing(seen, tags);
    if (left.length === 0) return { leftovers: [], isWhole: true, trouble: lastOf(words) };
    if (round > REMOVAL_ROUNDS_MAX) {
      const leftovers = left.map((one) => leftoverOf(one, words));
      const isWhole = left.every(({ disk, tag }) => hasForGood(disk, tag));
      return { leftovers, isWhole, trouble: lastOf(words) };
    }
    if (round > 1) await errand.place.world.clock.sleep(REMOVAL_PAUSE_MS * 2 ** (round - 2));
    const hadTrouble = await removeAll(errand, seen.power, left, words);
    const isTrusted = !hadTrouble && round === 1 && trust === 'listed';
    const glimpse = isTrusted ? await glance(errand, seen) : null;
    seen = glimpse
      ? await withUnplugged(errand, start, glimpse)
      : await observeTrouble(errand, start, 'needed');
  }
}

/** Whether anything went otherwise than asked. After an unknown outcome the round is over: looking comes first. */
async function removeAll(
  errand: Errand,
  power: Power,
  left: readonly Standing[],
  words: Map<string, Trouble>,
): Promise<boolean> {
  let hadTrouble = false;
  for (const [index, one] of left.entries()) {
    errand.journal.progress({ phase: 'removing', percent: Math.floor((100 * index) / left.length) });
    const trouble = await troubleIn(() =>
      errand.steps.take(`remove ${one.tag}`, one.disk.device, () => removeTag(errand.place, power, one)),
    );
    if (!trouble) continue;
    hadTrouble = true;
    if (!words.has(keyOf(one)) || !isNotFound(trouble)) words.set(keyOf(one), trouble);
    if (trouble.kind === 'unknown') return true;
  }
  return hadTrouble;
}

/** One tag off one disk, by whoever has the image open, as often as it stands there. Throws what they refuse. */
export async function removeTag(place: Place, power: Power, { disk, tag }: Standing): Promise<void> {
  await pass(place.world, 'hypervisor.before-removal');
  if (power === 'off' || disk.node === '') {
    for (let left = countOf(disk, tag); left > 0; left -= 1) await place.images.remove(disk, tag);
  } else {
    for (let left = countOf(disk, tag); left > 0; left -= 1) await deleteOnline(place, disk.node, tag);
  }
  await pass(place.world, 'hypervisor.after-removal');
}

async function deleteOnline({ line }: Place, node: string, tag: string): Promise<void> {
  const deletion: DeleteInternalSnapshot = { device: node, name: tag };
  await line.held.execute('blockdev-snapshot-delete-internal-sync', deletion, { timeoutMs: JOB_TIMEOUT_MS });
}

/** After a deletion that failed QEMU says so of what the file still has: whatever it said first tells more. */
const isNotFound = (trouble: Trouble): boolean =>
  trouble.kind === 'refused' && trouble.category === 'not-found';

const keyOf = ({ disk, tag }: Standing): string => `${disk.device}\n${tag}`;

const lastOf = (words: ReadonlyMap<string, Trouble>): Trouble | null => [...words.values()].at(-1) ?? null;

const leftoverOf = (one: Standing, words: ReadonlyMap<string, Trouble>): Leftover => ({
  device: one.disk.device,
  file: one.disk.file,
  tag: one.tag,
  why: whyLeft(words.get(keyOf(one))),
});

function whyLeft(trouble: Trouble | undefined): string {
  if (!trouble) return 'it is still there after it was removed';
  if (!isNotFound(trouble)) return trouble.words;
  return 'QEMU no longer lists it, but the file still has it: it can be removed once the machine is off';
}

import type { Orphan, Vm } from '#ledger';
import { headerBacking } from '../look/chain-check.ts';
import { closeForGood, unlinkClosed } from '../delete/unlinking.ts';
import { removeTag } from '../delete/removal.ts';
import { look } from '../look/look.ts';
import { countOf, type Sight } from '../look/sight.ts';
import { NotNow } from '../not-now.ts';
import type { Place } from '../place.ts';
import { troubleIn } from '../trouble.ts';
import { requireRightChain } from './wrong-chain.ts';

/* What bears our names and belongs to no snapshot, taken off the disks after somebody has accepted that. */

/** One that is still there. */
export interface OrphanLeft extends Orphan {
  /** In words. */
  readonly why: string;
}

/**
 * Removes tags and files that the log names as orphans, as far as nobody needs them: no layer, no snapshot and no other
 * VM, and no process that has one open. Returns those that are left. Safe to repeat. Throws as `look` does.
 *
 * @throws {Refusal} `vm-held` for a machine on a wrong chain
 */
export async function removeOrphans(
  place: Place,
  vm: Readonly<Vm>,
  orphans: readonly Orphan[],
): Promise<OrphanLeft[]> {
  const sight = await look(place, 'alone');
  requireRightChain(vm, sight);
  if (sight.busyWith !== null) throw new NotNow('machine-busy', sight.busyWith);
  const left: OrphanLeft[] = [];
  for (const orphan of orphans) {
    const why = await whyLeft(
      orphan.tag === undefined ? fileRemoval(place, vm, sight, orphan) : tagRemoval(place, sight, orphan),
    );
    if (why !== null) left.push({ ...orphan, why });
  }
  return left;
}

/** Null: it is gone. */
async function whyLeft(removal: () => Promise<string | null>): Promise<string | null> {
  let why: string | null = null;
  const trouble = await troubleIn(async () => {
    why = await removal();
  });
  return trouble?.words ?? why;
}

const tagRemoval =
  (place: Place, sight: Sight, { file, tag = '' }: Orphan) =>
  async (): Promise<string | null> => {
    const disk = sight.disks.find((seen) => seen.file === file && !seen.readOnly);
    if (!disk) return 'the machine has no such disk, or must not write it';
    if (countOf(disk, tag) > 0) await removeTag(place, sight.power, { disk, tag });
    return null;
  };

const fileRemoval =
  (place: Place, vm: Readonly<Vm>, { power }: Sight, { file }: Orphan) =>
  async (): Promise<string | null> => {
    const user = await userOf(place, vm, file);
    if (user !== null) return `${user} needs it`;
    if ((await place.world.files.stat(file)) === null) return null;
    try {
      const closed = await closeForGood(place, [{ file, format: 'raw', power }]); // A lock is seen whatever it holds.
      await unlinkClosed(place, file, closed);
      return null;
    } catch (error) {
      if (error instanceof NotNow) return error.message;
      throw error;
    }
  };

/** Who would miss the file, as far as anybody here can know. */
async function userOf(place: Place, vm: Readonly<Vm>, file: string): Promise<string | null> {
  if (vm.layers.has(file)) return 'the machine';
  const keeper = [...vm.snapshots.values()].find(
    ({ memory, disks }) => memory.file === file || disks.some((disk) => disk.file === file),
  );
  if (keeper) return `"${keeper.name}"`;
  const claim = (await place.claimedBesides(vm.id)).find((claimed) => claimed.file === file);
  if (claim) return `VM ${claim.vmId}`;
  for (const layer of vm.layers.values()) if ((await headerBacking(place, layer)) === file) return layer.file;
  return null;
}

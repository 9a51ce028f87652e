import { IMAGE_DAMAGED, type Leftover, type PlannedLayer } from '#ledger';
import { SETTLE_MS, SETTLE_PROBE_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import type { ImageAt, ImageHealth, Images } from '../qemu/images.ts';
import type { Start } from '../journal.ts';
import { headerBacking } from './chain-check.ts';
import { bearsName } from '../qemu/named-files.ts';
import { reach } from './look.ts';
import type { Place } from '../place.ts';
import { NotNow } from '../not-now.ts';

/** Waits until the machine has been off for so long that it is not just restarting. @throws {NotNow} when it is */
export async function settle(place: Place): Promise<void> {
  const { clock } = place.world;
  const until = clock.monotonic() + SETTLE_MS;
  while (clock.monotonic() < until) {
    await clock.sleep(SETTLE_PROBE_MS);
    if (await reach(place)) throw new NotNow('host-unreachable', 'the machine is coming back', 0);
  }
}

/**
 * Repairs the images of an operation whose QEMU died: as needed, or `always` after a load, whose torn images may
 * lose a snapshot's data to the next write. Returns those that could not be mended.
 *
 * @throws {NotNow} when somebody uses an image
 */
export async function mend(errand: Errand, start: Start, need: 'needed' | 'always'): Promise<Leftover[]> {
  const damage = await mendMemory(errand, start);
  const { files, overlays = [] } = start;
  const inside = Object.entries(files).map(([device, file]) => ({ device, file, format: 'qcow2' }));
  const ours: PlannedLayer[] = [];
  for (const overlay of overlays) if (!(await isAnothers(errand, start, overlay))) ours.push(overlay);
  for (const { device, file, format } of [...inside, ...ours]) {
    const found = await errand.place.world.files.stat(file);
    if (found === null) continue; // Removed with its disk, or never made.
    if (found.sizeBytes === 0 && files[device] !== file) continue; // Its name was taken, and no more.
    const why = await errand.steps.take('check the image', device, () =>
      whyDamaged(errand.place.images, { file, format }, need),
    );
    if (why !== null) damage.push({ device, file, tag: IMAGE_DAMAGED, why });
  }
  return damage;
}

/**
 * Repairs the file that a load takes the memory from, if that is an image: QEMU reverts it like a disk, and what a
 * QEMU that died has left of it would be called damaged by the next load. Nobody may have it open any more. Returns it
 * if it could not be mended. Throws as `mend` does.
 */
export async function mendMemory({ place, vm, steps }: Errand, { memoryFile }: Start): Promise<Leftover[]> {
  if (vm.operation?.kind !== 'load' || memoryFile?.format !== 'state') return [];
  const { file } = memoryFile;
  if ((await place.world.files.stat(file)) === null) return [];
  const why = await steps.take('check the image', null, () =>
    whyDamaged(place.images, { file, format: 'qcow2' }, 'needed'),
  );
  return why === null ? [] : [{ device: '', file, tag: IMAGE_DAMAGED, why }];
}

/**
 * Whether somebody else has made the image that lies where a caller wanted one made: it is not ours to repair. Of what
 * cannot be read nobody can tell, but only a machine that ran could have gone on in it.
 */
async function isAnothers(
  { place, vm }: Errand,
  { snapshotId, vmState }: Start,
  overlay: PlannedLayer,
): Promise<boolean> {
  if (vm.operation?.kind !== 'create') return false; // A load names its files itself.
  if (overlay.by !== 'create' || bearsName(overlay.file, snapshotId ?? '')) return false;
  const backing = await headerBacking(place, overlay);
  return backing === undefined ? vmState === 'shutoff' : backing !== overlay.backing;
}

/** Repairs one image; null when it is fit for use afterwards. Throws as `mend` does. */
export async function whyDamaged(
  images: Images,
  at: ImageAt,
  need: 'needed' | 'always',
): Promise<string | null> {
  const found = need === 'always' ? await images.repair(at, 'all') : await repaired(images, at);
  switch (found.kind) {
    case 'clean':
    case 'leaking': // Costs space, never content.
      return null;
    case 'damaged':
      return `the image is damaged and could not be repaired: ${found.words}`;
    case 'locked':
      throw new NotNow('host-unreachable', `somebody uses ${at.file} while it is to be repaired`);
  }
}

async function repaired(images: Images, at: ImageAt): Promise<ImageHealth> {
  const found = await images.check(at);
  switch (found.kind) {
    case 'clean':
    case 'locked':
      return found;
    case 'leaking':
      return images.repair(at, 'leaks');
    case 'damaged':
      return images.repair(at, 'all');
  }
}

import { drop } from '../delete/push.ts';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { headerBacking } from '../look/chain-check.ts';
import { diskOf, type Sight } from '../look/sight.ts';
import { isStrange } from '../qemu/named-files.ts';
import { isThere } from '../unlink-for-good.ts';

/**
 * Who died may have pushed an overlay back, and not unlinked it for good. The machine stands still in what it was pushed
 * into; once it runs there the overlay is old, and whoever pushes it back again takes back what the guest has written.
 *
 * @throws {NotNow} while an overlay may come back, or somebody has it open
 */
export async function dropPushedBack(errand: Errand, { overlays = [] }: Start, sight: Sight): Promise<void> {
  const { place, vm } = errand;
  if (sight.power !== 'paused') return;
  for (const overlay of overlays.filter(({ by }) => by === 'create')) {
    const base = vm.layers.get(overlay.backing ?? '');
    if (!base || diskOf(sight, overlay.device)?.file !== base.file) continue;
    if (isStrange(errand, overlay.file) || !(await isThere(place.world, overlay.file))) continue;
    if ((await headerBacking(place, overlay)) !== base.file) continue; // Somebody else's.
    if ((await place.images.isSame(overlay, base)) === true) await drop(errand, overlay);
  }
}

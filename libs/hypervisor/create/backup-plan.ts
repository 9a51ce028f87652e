import { type Backup, type PlannedBackup, Refusal } from '#ledger';
import { backingOf } from '../look/devices.ts';
import type { Errand } from '../errand.ts';
import { nodeNameOf } from '../qemu/graph.ts';
import { requireExistingImage, requireNewFile } from '../qemu/named-files.ts';
import { diskOf, isLocalFile, type SeenDisk, type Sight } from '../look/sight.ts';

/** Overlays are numbered below. */
const NODES_FROM = 501;

/**
 * The copies that are made beside a capture, each where the caller says.
 *
 * @throws {Refusal} `path-not-allowed`, `disk-unsupported`, `unsupported`, `invalid-combination`, `needs-power-on`
 */
export async function planBackups(
  errand: Errand,
  snapshotId: string,
  wishes: readonly Backup[],
  sight: Sight,
): Promise<PlannedBackup[]> {
  const planned: PlannedBackup[] = [];
  for (const [index, wish] of wishes.entries()) {
    const { device, format, sync } = wish;
    const disk = diskOf(sight, device);
    if (!disk) throw new Refusal('disk-unsupported', `the machine has no disk "${device}"`);
    requireSense(wish, disk, sight);
    const backing = await standsOn(errand, sync, disk);
    if (backing && format === 'raw') {
      throw new Refusal('invalid-combination', `a raw copy stands on nothing: say "qcow2", or sync "full"`);
    }
    const at = await placeFor(errand, wish, disk, backing);
    planned.push({ device, ...at, format, sync, backing, node: nodeNameOf(snapshotId, NODES_FROM + index) });
  }
  return planned;
}

function requireSense({ device, sync }: Backup, { file }: SeenDisk, { power }: Sight): void {
  if (power === 'off' && sync === 'none') {
    throw new Refusal('needs-power-on', 'the machine is off: nothing is written that could be saved before');
  }
  if ((power === 'off' || sync !== 'full') && !isLocalFile(file)) {
    throw new Refusal(
      'disk-unsupported',
      `disk "${device}" (${file}) is no local file: only all of it can be copied`,
    );
  }
}

/**
 * What a copy leaves out it reads from there: `none` from the disk as it is, `top` from what the disk stands on.
 * QEMU's own `drive-backup` does the same.
 */
async function standsOn(
  { place, vm }: Errand,
  sync: Backup['sync'],
  disk: SeenDisk,
): Promise<PlannedBackup['backing']> {
  switch (sync) {
    case 'full':
      return null;
    case 'none':
      return { file: disk.file, format: disk.format };
    case 'top': {
      const { file, format } = disk;
      const seen = await place.images.info({ file, format }, 'shared');
      const below = seen.kind === 'seen' ? await backingOf(place.world.files, seen.info) : disk.backing;
      if (below === null) return null;
      const known = vm.layers.get(below)?.format ?? (seen.kind === 'seen' ? seen.info.backingFormat : null);
      if (known !== null) return { file: below, format: known };
      throw new Refusal('unsupported', `${file} does not say of which format ${below} is: say sync "full"`);
    }
  }
}

async function placeFor(
  { place, vm }: Errand,
  { target, format, fileMode }: Backup,
  { virtualSizeBytes }: SeenDisk,
  backing: PlannedBackup['backing'],
): Promise<Pick<PlannedBackup, 'target' | 'by'>> {
  if (fileMode === 'absolute-paths') return { target: await requireNewFile(place, vm, target), by: 'create' };
  const wanted = { virtualSizeBytes, backing };
  return { target: await requireExistingImage(place, vm, { file: target, format }, wanted), by: 'existing' };
}

import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Loading } from './load-loading.ts';
import { noteWritten, standingNow, whyDisturbed } from '../look/standing.ts';
import { NotNow } from '../not-now.ts';

/**
 * Takes the disks of a machine that is off back to what is loaded, one after the other, and tells in `loaded` how far it
 * came. To be begun anew with all of them after any trouble: the machine may have run on those that were loaded. Throws
 * what qemu-img refuses.
 *
 * @throws {NotNow} when it has run on them meanwhile, or may have
 */
export async function loadOneByOne(
  errand: Errand,
  { start, wish }: Pick<Loading, 'start' | 'wish'>,
  loaded: Set<string>,
): Promise<void> {
  const { place, steps, journal, memory, operationId } = errand;
  const all = Object.entries(start.files);
  loaded.clear();
  await pass(place.world, 'hypervisor.before-act');
  const standing = await standingNow(place, []); // What was written before is loaded over.
  for (const [index, [device, file]] of all.entries()) {
    journal.progress({ phase: 'loading', percent: Math.floor((100 * index) / all.length) });
    await steps.take('load the image', device, () =>
      place.images.load({ file, format: 'qcow2' }, wish.needs.tag),
    );
    await noteWritten(place, standing, file);
    loaded.add(device);
  }
  await pass(place.world, 'hypervisor.after-act');
  const why = await whyDisturbed(place, standing, Object.values(start.files));
  if (!why) return;
  memory.mended.delete(operationId); // What was repaired may be broken again.
  throw new NotNow('machine-busy', `${why} while the disks were loaded`);
}

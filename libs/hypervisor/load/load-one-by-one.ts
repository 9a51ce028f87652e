import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Loading } from './load-loading.ts';
import { monitorSocket } from '../look/monitor-socket.ts';
import { NotNow } from '../not-now.ts';
import { writtenAt } from '../written-at.ts';

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
  const { place, steps, journal } = errand;
  const all = Object.entries(start.files);
  loaded.clear();
  await pass(place.world, 'hypervisor.before-act');
  const socket = await monitorSocket(place);
  const times = new Map<string, number | null>();
  for (const [index, [device, file]] of all.entries()) {
    journal.progress({ phase: 'loading', percent: Math.floor((100 * index) / all.length) });
    await steps.take('load the image', device, () =>
      place.images.load({ file, format: 'qcow2' }, wish.needs.tag),
    );
    times.set(file, await writtenAt(place, file));
    loaded.add(device);
  }
  await pass(place.world, 'hypervisor.after-act');
  for (const [file, at] of times)
    if ((await writtenAt(place, file)) !== at) throw hasRun(errand, `${file} was written once it was loaded`);
  if ((await monitorSocket(place)) !== socket)
    throw hasRun(errand, 'the machine has run while its disks were loaded');
}

/** What was repaired of its images may be broken again. */
function hasRun({ memory, operationId }: Errand, words: string): NotNow {
  memory.mended.delete(operationId);
  return new NotNow('machine-busy', words);
}

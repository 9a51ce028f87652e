import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Loading } from './load-loading.ts';
import { isAnotherSocket, monitorSocket } from '../look/monitor-socket.ts';
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
  const { place, steps, journal } = errand;
  const { files } = place.world;
  const all = Object.entries(start.files);
  loaded.clear();
  await pass(place.world, 'hypervisor.before-act');
  const socket = await monitorSocket(place);
  const times = new Map<string, number | undefined>();
  for (const [index, [device, file]] of all.entries()) {
    journal.progress({ phase: 'loading', percent: Math.floor((100 * index) / all.length) });
    await steps.take('load the image', device, () =>
      place.images.load({ file, format: 'qcow2' }, wish.needs.tag),
    );
    times.set(file, (await files.stat(file))?.modifiedAt);
    loaded.add(device);
  }
  await pass(place.world, 'hypervisor.after-act');
  for (const [file, at] of times)
    if ((await files.stat(file))?.modifiedAt !== at)
      throw new NotNow('machine-busy', `${file} was written once it was loaded`);
  if (isAnotherSocket(socket, await monitorSocket(place)))
    throw new NotNow('machine-busy', 'the machine was started while its disks were loaded');
}

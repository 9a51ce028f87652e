import { Refusal } from '#ledger';
import { type Monitor, MonitorTrouble } from '#qmp';
import { pass } from '../fault-points.ts';
import type { Access } from '../qemu/images.ts';
import { lookAtImages, withTagsOfFile } from './look-at-images.ts';
import { lookThroughMonitor } from './look-through-monitor.ts';
import { NotNow } from '../not-now.ts';
import type { Place } from '../place.ts';
import type { SeenDisk, Sight } from './sight.ts';
import { isLoss } from '../trouble.ts';

/**
 * Looks at a machine, changing nothing. When nobody listens at its monitor its images are read: `alone` also proves
 * that nobody has them open, but a QEMU that starts in that moment meets our lock and ends. So whoever only wants to
 * know reads `shared`.
 *
 * @throws {NotNow} when the monitor is occupied or silent, or an image is to be read alone and is in use
 * @throws {Refusal} `not-a-monitor`, `path-not-allowed`, `disk-unsupported` for an image that cannot be read
 */
export async function look(place: Place, access: Access): Promise<Sight> {
  await pass(place.world, 'hypervisor.before-look');
  const sight = (await lookOverOldSession(place)) ?? (await lookAfresh(place, access));
  await pass(place.world, 'hypervisor.after-look');
  return sight;
}

/** Null when there was no session, or only one of a QEMU that had died: it says nothing of the machine as it is now. */
async function lookOverOldSession(place: Place): Promise<Sight | null> {
  const monitor = place.line.hasSession ? await reach(place) : null;
  if (!monitor) return null;
  let wasAlive = false;
  try {
    return await lookThroughMonitor(place, monitor, () => (wasAlive = true));
  } catch (error) {
    if (!wasAlive && error instanceof NotNow && isLoss(error.cause)) return null;
    throw error;
  }
}

async function lookAfresh(place: Place, access: Access): Promise<Sight> {
  const monitor = await reach(place);
  return monitor ? lookThroughMonitor(place, monitor) : lookAtImages(place, access);
}

/** The machine's monitor; null when nobody listens there. Throws as `look` does. */
export async function reach({ line, monitor }: Pick<Place, 'line' | 'monitor'>): Promise<Monitor | null> {
  try {
    return await line.reach();
  } catch (error) {
    if (!(error instanceof MonitorTrouble)) throw error;
    switch (error.kind) {
      case 'off':
        return null;
      case 'not-a-monitor':
        throw new Refusal('not-a-monitor', `${monitor}: ${error.message}`);
      case 'occupied':
      case 'closed':
        throw new NotNow('host-unreachable', error.message, undefined, { cause: error });
    }
  }
}

/**
 * A look that also reads every tag from the files: after a failed rollback QEMU's own list hides what the file
 * still has. Throws as `look` does.
 */
export async function lookDeep(place: Place): Promise<Sight> {
  const sight = await look(place, 'alone');
  if (sight.power === 'off') return sight;
  const disks: SeenDisk[] = [];
  for (const disk of sight.disks) disks.push(await withTagsOfFile(place.images, disk));
  return { ...sight, disks };
}

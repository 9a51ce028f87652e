import { dismissJob } from '#qmp';
import { LOOK_TIMEOUT_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Start } from '../journal.ts';
import { look, lookDeep, reach } from './look.ts';
import { disksThroughMonitor, powerThroughMonitor } from './look-through-monitor.ts';
import { mend, settle } from './mend.ts';
import { NotNow } from '../not-now.ts';
import { backingOf, seenTag } from './devices.ts';
import type { Power, SeenDisk, Sight } from './sight.ts';
import { troubleFrom } from '../trouble.ts';

/** How soon a job of ours that still runs may be over. */
const JOB_AGAIN_MS = 500;

/**
 * A look by somebody who acts: our own jobs that are over are dismissed once read, and while one still runs nothing
 * can be concluded. Where a look was begun early, `foreseen` is what it found. Throws as `look` does.
 */
export async function observe(
  errand: Errand,
  depth: 'listed' | 'in-files',
  foreseen: Sight | null = null,
): Promise<Sight> {
  const { place, memory, operationId } = errand;
  const sight = foreseen ?? (await (depth === 'listed' ? look(place, 'alone') : lookDeep(place)));
  if (sight.power !== 'off') {
    memory.mended.delete(operationId);
    memory.metAlive.add(operationId);
  }
  for (const job of sight.ownJobs) {
    if (!job.hasConcluded) throw new NotNow('machine-busy', `our job ${job.id} still runs`, JOB_AGAIN_MS);
    await pass(place.world, 'hypervisor.before-dismiss');
    await dismissJob(place.line.held, job.id);
    await pass(place.world, 'hypervisor.after-dismiss');
  }
  return sight;
}

/**
 * A quick look after all went well: at the disks alone, and over the session that did it. Null when that is not to
 * be had; then only a look at everything helps. Who does not wait for an answer before sends it behind the command:
 * QEMU does one after the other, so it is answered with what came of that, up to `behindMs` later.
 */
export async function glance({ place }: Errand, sight: Sight, behindMs = 0): Promise<Sight | null> {
  if (sight.power === 'off') return look(place, 'alone');
  await pass(place.world, 'hypervisor.before-look');
  try {
    const disks = await disksThroughMonitor(place, sight.disks, LOOK_TIMEOUT_MS + behindMs);
    await pass(place.world, 'hypervisor.after-look');
    return { ...sight, disks };
  } catch (error) {
    if (troubleFrom(error)) return null;
    throw error;
  }
}

/** Whether the machine runs, asked alone; looked at in full when that is not answered. Throws as `look` does. */
export async function powerNow(errand: Errand): Promise<Power> {
  try {
    return await powerThroughMonitor(errand.place.line.held);
  } catch (error) {
    if (!troubleFrom(error)) throw error;
    return (await observe(errand, 'listed')).power;
  }
}

/**
 * The same of the QEMU that was spoken to last. Behind a new session there may be another one, in which nothing of what
 * was done is so.
 *
 * @throws {NotNow} when there is a new session
 */
export async function powerStill(errand: Errand): Promise<Power> {
  const { line } = errand.place;
  const { held } = line;
  const power = await powerNow(errand);
  if (power === 'off' || line.held === held) return power;
  throw new NotNow(
    'machine-gone',
    'the session with QEMU was lost, and behind the new one there may be another',
  );
}

/**
 * The look after something went wrong or was cut off. Reads the files too, those of disks that were unplugged
 * since included. Nobody takes the lock of an image before the machine is really off, and nobody draws conclusions
 * from one before it is repaired. `beforeRepair` sees what the machine has left as that left it. Throws as `look` does.
 */
export async function observeTrouble(
  errand: Errand,
  start: Start,
  need: 'needed' | 'always',
  beforeRepair: () => Promise<void> = async () => undefined,
): Promise<Sight> {
  const { place, memory, operationId } = errand;
  if (await reach(place)) {
    const sight = await observe(errand, 'in-files');
    if (sight.power !== 'off') return withUnplugged(errand, start, sight);
  }
  if (!memory.mended.has(operationId)) {
    await settle(place);
    await beforeRepair();
    errand.damage = await mend(errand, start, need);
    memory.mended.add(operationId);
  }
  return withUnplugged(errand, start, await observe(errand, 'in-files'));
}

/** The sight, and with it the disks that the operation began with and that the machine no longer has. */
export async function withUnplugged(errand: Errand, start: Start, sight: Sight): Promise<Sight> {
  const { place } = errand;
  const unplugged: SeenDisk[] = [];
  for (const [device, file] of Object.entries(start.files)) {
    if (sight.disks.some((disk) => disk.device === device || disk.file === file)) continue;
    const seen = await place.images.info({ file, format: 'qcow2' }, 'shared');
    if (seen.kind !== 'seen') continue; // Its file went with it.
    unplugged.push({
      device,
      node: '',
      format: 'qcow2',
      file,
      path: file,
      readOnly: false,
      tags: seen.info.snapshots.map(seenTag),
      hasDirtyBitmaps: seen.hasDirtyBitmaps,
      virtualSizeBytes: seen.info.virtualSizeBytes,
      freeBytes: null,
      backing: await backingOf(place.world.files, seen.info),
      qdev: null,
    });
  }
  return { ...sight, disks: [...sight.disks, ...unplugged] };
}

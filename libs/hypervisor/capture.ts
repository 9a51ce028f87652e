import { tagOf } from '#ledger';
import { QmpRefused, type SnapshotSave, type Transaction } from '#qmp';
import { z } from 'zod';
import {
  JOB_BYTES_PER_MS,
  JOB_TIMEOUT_MS,
  LOOK_TIMEOUT_MS,
  MEMORY_BYTES_ASSUMED,
  TRANSACTION_PER_DISK_TIMEOUT_MS,
  TRANSACTION_TIMEOUT_MS,
} from './bounds.ts';
import type { Errand } from './errand.ts';
import { pass } from './fault-points.ts';
import type { Start } from './journal.ts';
import { jobIdOf } from './own-jobs.ts';
import { glance } from './observe.ts';
import { diskOf, type SeenDisk, type Sight } from './sight.ts';

/**
 * Puts the tag on all disks, by the means that the start names. Gives back what a look right behind it shows; null
 * when nobody has looked yet. Throws what QEMU or qemu-img refuses.
 */
export async function capture(errand: Errand, start: Start, sight: Sight): Promise<Sight | null> {
  const tag = tagOf(start.snapshotId ?? '');
  const disks = Object.keys(start.files).flatMap((device) => diskOf(sight, device) ?? []);
  await pass(errand.place.world, 'hypervisor.before-act');
  let seen: Sight | null = null;
  if (start.vmState === 'shutoff') await captureEach(errand, tag, disks);
  else if (start.memory === 'internal') await save(errand, tag, disks);
  else seen = await captureTogether(errand, tag, disks, sight);
  await pass(errand.place.world, 'hypervisor.after-act');
  return seen;
}

/** The machine is off, so its disks stand still between one call and the next. */
async function captureEach(
  { place, steps, journal }: Errand,
  tag: string,
  disks: readonly SeenDisk[],
): Promise<void> {
  for (const [index, disk] of disks.entries()) {
    journal.progress({ phase: 'capturing', percent: Math.floor((100 * index) / disks.length) });
    await steps.take('capture the image', disk.device, () => place.images.capture(disk, tag));
  }
}

/** One transaction: all disks at the same instant, and rolled back when one refuses. */
async function captureTogether(
  errand: Errand,
  tag: string,
  disks: readonly SeenDisk[],
  sight: Sight,
): Promise<Sight | null> {
  const { place, steps, journal } = errand;
  journal.progress({ phase: 'capturing', percent: null });
  const transaction: Transaction = {
    actions: disks.map(({ node }) => ({
      type: 'blockdev-snapshot-internal-sync',
      data: { device: node, name: tag },
    })),
  };
  const timeoutMs = TRANSACTION_TIMEOUT_MS + disks.length * TRANSACTION_PER_DISK_TIMEOUT_MS;
  const done = steps.take('capture all disks in one transaction', null, () =>
    place.line.held.execute('transaction', transaction, { timeoutMs }),
  );
  const [seen] = await Promise.all([glance(errand, sight, timeoutMs), done]); // The transaction was sent first.
  return seen;
}

/** The memory goes into the last disk: QEMU does them in order, so whoever sees it there knows the rest is there. */
async function save(
  { place, steps, journal, operationId }: Errand,
  tag: string,
  disks: readonly SeenDisk[],
): Promise<void> {
  const nodes = disks.map(({ node }) => node);
  const args: SnapshotSave = {
    'job-id': jobIdOf(operationId, 1),
    tag,
    vmstate: nodes.at(-1) ?? '',
    devices: nodes,
  };
  const monitor = place.line.held;
  const timeoutMs = JOB_TIMEOUT_MS + (await memoryBytes(place.line.held)) / JOB_BYTES_PER_MS;
  const onProgress = (percent: number): void => journal.progress({ phase: 'capturing', percent });
  await steps.take('save the memory and all disks', null, () =>
    monitor.runJob('snapshot-save', args, { timeoutMs, onProgress }),
  );
}

// { 'struct': 'MemoryInfo', 'data': { 'base-memory': 'size', '*plugged-memory': 'size' } }
const MemorySize = z.object({ 'base-memory': z.number(), 'plugged-memory': z.number().default(0) });

type Asked = Errand['place']['line']['held'];

/** Bounds how long a save may take; a QEMU that cannot say is given the time of a large machine. */
async function memoryBytes(monitor: Asked): Promise<number> {
  try {
    const timeoutMs = LOOK_TIMEOUT_MS;
    const size = MemorySize.parse(await monitor.execute('query-memory-size-summary', {}, { timeoutMs }));
    return size['base-memory'] + size['plugged-memory'];
  } catch (error) {
    if (error instanceof QmpRefused || error instanceof z.ZodError) return MEMORY_BYTES_ASSUMED;
    throw error;
  }
}

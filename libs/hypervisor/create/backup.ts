import { posix } from 'node:path';
import type { PlannedBackup } from '#ledger';
import {
  dismissJob,
  isCanceled,
  type Monitor,
  parseJobs,
  type QmpJob,
  QmpRefused,
  type TransactionAction,
} from '#qmp';
import { COPY_JOB_TIMEOUT_MS, POWER_TIMEOUT_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { addNode, removeNode } from '../qemu/graph.ts';
import type { Start } from '../journal.ts';
import { draftOf, type NamedFile, publish } from '../qemu/named-files.ts';
import { NotNow } from '../not-now.ts';
import { oneByOne } from './one-by-one.ts';
import type { Standing } from '../look/standing.ts';
import { backupJobIdOf, isBackupOf } from '../qemu/own-jobs.ts';
import { diskOf, type SeenDisk, type Sight } from '../look/sight.ts';
import { Thwarted, troubleIn } from '../trouble.ts';

/*
 * Copies of disks beside a capture. Their jobs begin in the capture's own transaction, each for itself: grouped ones
 * can hang this QEMU for ever. They are dismissed only when all copies are whole and on disk: until then QEMU's list
 * of jobs is what tells a worker that takes over how they went.
 */

/** How long an event that never comes can hold us up. */
const POLL_MS = 500;
/** A job that is told to end does so between two requests. */
const CANCEL_TIMEOUT_MS = 30_000;

/** The new files that the copies are to be. */
export const targetsOf = ({ backups = [] }: Pick<Start, 'backups'>): NamedFile[] =>
  backups.filter(({ by }) => by === 'create').map(({ target, node }) => ({ file: target, node }));

/** Where a copy lies until it is whole. */
const draftedAt = ({ snapshotId }: Start, { target, node, by }: PlannedBackup): string =>
  by === 'create' ? draftOf(snapshotId ?? '', { file: target, node }) : target;

/** New empty files for the copies; tells which they are. Throws what qemu-img refuses. */
export async function makeTargets({ place, steps }: Errand, start: Start, sight: Sight): Promise<string[]> {
  const made = (start.backups ?? []).filter(({ by }) => by === 'create');
  for (const backup of made) {
    const { device, format, backing } = backup;
    const file = draftedAt(start, backup);
    const sizeBytes = diskOf(sight, device)?.virtualSizeBytes ?? 0;
    await steps.take('create the copy', device, () =>
      place.images.create({ file, format }, sizeBytes, backing),
    );
  }
  return made.map((backup) => draftedAt(start, backup));
}

/** Throws what QEMU refuses. */
export async function openTargets({ place, steps }: Errand, start: Start): Promise<void> {
  for (const backup of start.backups ?? []) {
    const { device, format, node } = backup;
    const file = draftedAt(start, backup);
    await steps.take('open the copy', device, () => addNode(place, { file, format, node }, 'alone'));
  }
}

/**
 * These come after the captures of the same disks, which a backup would be in the way of. What a capture freezes is
 * copied from the frozen layer, without slowing down the guest; `none` waits for what is written, so it watches the
 * layer that the guest writes.
 */
export const backupActions = (
  operationId: string,
  { backups = [], overlays = [], nodes }: Start,
): TransactionAction[] =>
  backups.map(({ device, sync, node }, index): TransactionAction => {
    const overlay = overlays.find((layer) => layer.device === device);
    const source = sync === 'none' && overlay ? overlay.node : (nodes[device] ?? '');
    const ends = { 'auto-finalize': false, 'auto-dismiss': false } as const;
    const job = { 'job-id': backupJobIdOf(operationId, index + 1), ...ends };
    return { type: 'blockdev-backup', data: { ...job, device: source, target: node, sync } };
  });

/** The same for a machine that is off. Throws what qemu-img refuses, and as `oneByOne` does. */
export async function copyImages(
  errand: Errand,
  start: Start,
  { sight, standing }: { sight: Sight; standing: Standing },
): Promise<void> {
  const { place, steps } = errand;
  const { backups = [] } = start;
  if (backups.length === 0) return;
  const subjects = backups.map((backup) => ({ backup, disk: sourceOf(sight, backup.device) }));
  await oneByOne(errand, { phase: 'copying', standing }, subjects, async ({ backup, disk }) => {
    const { device, format, backing } = backup;
    await pass(place.world, 'hypervisor.before-copy');
    await steps.take('copy the image', device, () =>
      place.images.convert(disk, { file: draftedAt(start, backup), format }, backing),
    );
    await pass(place.world, 'hypervisor.after-copy');
  });
  await keep(errand, start);
}

function sourceOf(sight: Sight, device: string): SeenDisk {
  const disk = diskOf(sight, device);
  if (!disk) throw new Thwarted('disk-unsupported', `the machine has no disk "${device}"`);
  return disk;
}

/**
 * Waits until the copies are whole, and puts them on disk. One that fails ends the others. Nothing of it is known
 * when QEMU tells of no such job: it was never begun, or is another QEMU.
 *
 * A copy with sync `none` runs until it is canceled; that is how it ends well.
 *
 * @throws {NotNow} when they take longer than anybody waits; else what QEMU refuses, and `Thwarted` once canceled
 */
export async function finishBackups(errand: Errand, start: Start): Promise<void> {
  const { backups = [] } = start;
  if (backups.length === 0 || errand.memory.copied.has(errand.operationId)) return;
  const { place, steps } = errand;
  if ((await jobsNow(place.line.held, errand.operationId)).length === 0) return;
  await awaitCopies(errand, start);
  for (const { node, device } of backups) {
    await steps.take('close the copy', device, () => removeNode(place, node));
  }
  await keep(errand, start);
  for (const { id } of await jobsNow(place.line.held, errand.operationId)) {
    await pass(place.world, 'hypervisor.before-dismiss');
    await dismissJob(place.line.held, id);
    await pass(place.world, 'hypervisor.after-dismiss');
  }
}

/** Waits until the copies are whole. Throws as `finishBackups` does. */
export async function awaitCopies(errand: Errand, { backups = [] }: Start): Promise<void> {
  if (backups.length === 0) return;
  const { world } = errand.place;
  await pass(world, 'hypervisor.before-copy');
  await errand.steps.take('copy the disks', null, () => jobsEnd(errand, backups));
  await pass(world, 'hypervisor.after-copy');
}

/** The copies are whole: each is on disk for good before it bears its name. */
async function keep(errand: Errand, start: Start): Promise<void> {
  const { place, memory, operationId } = errand;
  const { files } = place.world;
  const { backups = [] } = start;
  for (const backup of backups) {
    const draft = draftedAt(start, backup);
    await files.syncFile((await files.stat(draft)) === null ? backup.target : draft);
  }
  await publish(errand, start.snapshotId ?? '', targetsOf(start));
  for (const directory of new Set(backups.map(({ target }) => posix.dirname(target)))) {
    await files.syncDirectory(directory);
  }
  memory.copied.add(operationId);
}

async function jobsEnd(
  { place, journal, operationId }: Errand,
  backups: readonly PlannedBackup[],
): Promise<void> {
  const monitor = place.line.held;
  const { clock } = place.world;
  const until = clock.monotonic() + COPY_JOB_TIMEOUT_MS;
  const changes = monitor.listen(['JOB_STATUS_CHANGE']);
  try {
    while (clock.monotonic() < until) {
      const jobs = await jobsNow(monitor, operationId);
      const failure = failureIn(operationId, backups, jobs);
      const areOver = jobs.every(({ status }) => status === 'concluded');
      if (failure && areOver) throw failure;
      if (areOver) return;
      if (failure) await cancelJobs(monitor, jobs);
      else await finalizePending(monitor, jobs);
      journal.progress({ phase: 'copying', percent: percentOf(jobs) });
      await changes.next(POLL_MS);
    }
  } finally {
    changes.close();
  }
  throw new NotNow('machine-busy', 'the copies are not whole yet');
}

/** Ends those that have copied all. One that has ended meanwhile refuses, and is looked at again. */
async function finalizePending(monitor: Pick<Monitor, 'execute'>, jobs: readonly QmpJob[]): Promise<void> {
  for (const { id } of jobs.filter(({ status }) => status === 'pending')) {
    try {
      await monitor.execute('job-finalize', { id });
    } catch (error) {
      if (!(error instanceof QmpRefused)) throw error;
    }
  }
}

const percentOf = (jobs: readonly QmpJob[]): number =>
  Math.floor(jobs.reduce((sum, { percent }) => sum + percent, 0) / jobs.length);

async function jobsNow(monitor: Pick<Monitor, 'execute'>, operationId: string): Promise<QmpJob[]> {
  const jobs = parseJobs(await monitor.execute('query-jobs'));
  return jobs.filter(({ id }) => isBackupOf(operationId, id));
}

/** Why the copies as a whole have failed. What went wrong by itself tells more than what was canceled for it. */
function failureIn(
  operationId: string,
  backups: readonly PlannedBackup[],
  jobs: readonly QmpJob[],
): Error | null {
  let canceled: Error | null = null;
  for (const [index, { device, sync }] of backups.entries()) {
    const job = jobs.find(({ id }) => id === backupJobIdOf(operationId, index + 1));
    if (!job) return new Thwarted('refused-by-qemu', `QEMU has forgotten the copy of ${device}`);
    if (job.status !== 'concluded' || job.error === null) continue;
    if (!isCanceled(job.error)) {
      return new QmpRefused('blockdev-backup', 'GenericError', `the copy of ${device}: ${job.error}`);
    }
    if (sync !== 'none') canceled = new Thwarted('canceled', `the copy of ${device} was canceled`);
  }
  return canceled;
}

async function cancelJobs(monitor: Pick<Monitor, 'execute'>, jobs: readonly QmpJob[]): Promise<void> {
  for (const { id, status } of jobs) {
    if (status === 'concluded') continue;
    try {
      await monitor.execute('job-cancel', { id }, { timeoutMs: POWER_TIMEOUT_MS });
    } catch (error) {
      if (!(error instanceof QmpRefused)) throw error; // It has ended meanwhile.
    }
  }
}

/** Tells an operation's copies to end; how many there were to tell. Throws as `Monitor.execute` does. */
export async function cancelBackups(monitor: Pick<Monitor, 'execute'>, operationId: string): Promise<number> {
  const running = (await jobsNow(monitor, operationId)).filter(({ status }) => status !== 'concluded');
  await cancelJobs(monitor, running);
  return running.length;
}

/** Ends the copies of a capture that has failed. What this cannot end the next look finds running. */
export async function stopBackups(
  { place, operationId }: Errand,
  { backups = [], vmState }: Start,
): Promise<void> {
  if (backups.length === 0 || vmState === 'shutoff') return;
  const { clock } = place.world;
  const until = clock.monotonic() + CANCEL_TIMEOUT_MS;
  await troubleIn(async () => {
    while ((await cancelBackups(place.line.held, operationId)) > 0 && clock.monotonic() < until) {
      await clock.sleep(POLL_MS / 10);
    }
  });
}

/** The copies as the ledger keeps them, once they are whole. */
export async function madeBackups(
  { place }: Errand,
  { backups = [] }: Start,
): Promise<
  { device: string; target: string; format: string; sync: PlannedBackup['sync']; sizeBytes: number }[]
> {
  return Promise.all(
    backups.map(async ({ device, target, format, sync }) => {
      const found = await place.world.files.stat(target);
      return { device, target, format, sync, sizeBytes: found?.sizeBytes ?? 0 };
    }),
  );
}

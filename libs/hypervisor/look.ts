import { type Disk, Refusal } from '#ledger';
import {
  type BlockJob,
  type Migration,
  type Monitor,
  MonitorTrouble,
  parseBlockJobs,
  parseBlocks,
  parseJobs,
  parseMigration,
  parseStatus,
  QmpGarbled,
  type QmpJob,
  QmpRefused,
  QmpUnknown,
  type RunState,
} from '#qmp';
import type { World } from '#world';
import { LOOK_TIMEOUT_MS } from './bounds.ts';
import { realFile, seenDisks, seenTag } from './devices.ts';
import { pass } from './fault-points.ts';
import type { Access, Images } from './images.ts';
import type { Line } from './monitors.ts';
import { NotNow } from './not-now.ts';
import { isOwnJob } from './own-jobs.ts';
import { isLocalFile, type Power, type SeenDisk, type Sight } from './sight.ts';

/** Where a machine is found: by its monitor while it is on, by its images while it is off. */
export interface Place {
  readonly world: World;
  readonly monitor: string;
  readonly line: Line;
  readonly images: Images;
  /** As last seen. What a machine that is off consists of. */
  disks: readonly Disk[];
}

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

/** Null when there was no session, or only a dead QEMU's: that says nothing of the machine as it is now. */
async function lookOverOldSession(place: Place): Promise<Sight | null> {
  const monitor = place.line.hasSession ? await reach(place) : null;
  if (!monitor) return null;
  try {
    return await lookThroughMonitor(place, monitor);
  } catch (error) {
    if (error instanceof NotNow && isLoss(error.cause)) return null;
    throw error;
  }
}

const isLoss = (cause: unknown): boolean =>
  cause instanceof QmpUnknown ? cause.cause === 'closed' : cause instanceof MonitorTrouble;

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

async function lookThroughMonitor(place: Place, monitor: Monitor): Promise<Sight> {
  const ask = (question: string): Promise<unknown> =>
    monitor.execute(question, {}, { timeoutMs: LOOK_TIMEOUT_MS });
  try {
    // QEMU answers in this order: what a job that is over left behind is in the blocks already.
    const [status, jobs, blockJobs, migration, blocks] = await Promise.all([
      ask('query-status').then(parseStatus),
      ask('query-jobs').then(parseJobs),
      ask('query-block-jobs').then(parseBlockJobs),
      ask('query-migrate').then(parseMigration),
      ask('query-block').then(parseBlocks),
    ]);
    return {
      power: powerOf(status),
      runState: status,
      disks: await seenDisks(place.world.files, blocks),
      busyWith: busyWith(jobs, blockJobs, migration),
      ownJobs: jobs
        .filter(({ id }) => isOwnJob(id))
        .map(({ id, status, error }) => ({ id, hasConcluded: status === 'concluded', error })),
    };
  } catch (error) {
    throw await whyNoSight(place, error);
  }
}

async function whyNoSight({ monitor, line }: Place, error: unknown): Promise<unknown> {
  if (error instanceof QmpUnknown || error instanceof MonitorTrouble) {
    await line.hangUp(); // The next look begins on a session of its own.
    return new NotNow('host-unreachable', `QEMU does not answer: ${error.message}`, undefined, {
      cause: error,
    });
  }
  if (error instanceof QmpRefused || error instanceof QmpGarbled) {
    return new Refusal('not-a-monitor', `${monitor} is not a QEMU machine's monitor: ${error.message}`);
  }
  return error;
}

const powerOf = (status: RunState): Power => (status === 'running' ? 'running' : 'paused');

const OVER: ReadonlySet<string> = new Set<QmpJob['status']>(['concluded', 'null']);
const MIGRATES: ReadonlySet<string> = new Set<Migration['status']>([
  'setup',
  'cancelling',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
]);

function busyWith(
  jobs: readonly QmpJob[],
  blockJobs: readonly BlockJob[],
  { status }: Migration,
): string | null {
  const foreign = [...jobs, ...blockJobs].find((job) => !isOwnJob(job.id) && !OVER.has(job.status));
  if (foreign) return `the job "${foreign.id}" (${foreign.type}) is ${foreign.status}`;
  return MIGRATES.has(status) ? `a migration is ${status}` : null;
}

async function lookAtImages(place: Place, access: Access): Promise<Sight> {
  const disks: SeenDisk[] = [];
  for (const disk of place.disks) {
    const seen = await lookAtImage(place, disk, access);
    if (seen) disks.push(seen);
  }
  return { power: 'off', runState: null, disks, busyWith: null, ownJobs: [] };
}

/** Null when its file is gone, and the disk with it. */
async function lookAtImage(place: Place, disk: Disk, access: Access): Promise<SeenDisk | null> {
  const { world, images, monitor } = place;
  const { device, node, format, readOnly } = disk;
  const file = await realFile(world.files, disk.file);
  const known = { device, node, format, file, readOnly };
  if (readOnly || !isLocalFile(file))
    return { ...known, tags: [], hasDirtyBitmaps: false, virtualSizeBytes: 0 };
  if ((await world.files.stat(file)) === null) return null;
  const seen = await images.info({ file, format }, access);
  switch (seen.kind) {
    case 'locked':
      throw new NotNow('host-unreachable', `nobody listens at ${monitor}, yet somebody uses ${file}`);
    case 'unreadable':
      throw new Refusal('disk-unsupported', `disk "${device}" (${file}, ${format}): ${seen.words}`);
    case 'seen':
      return {
        ...known,
        tags: seen.info.snapshots.map(seenTag),
        hasDirtyBitmaps: seen.hasDirtyBitmaps,
        virtualSizeBytes: seen.info.virtualSizeBytes,
      };
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

async function withTagsOfFile(images: Images, disk: SeenDisk): Promise<SeenDisk> {
  if (disk.format !== 'qcow2' || !isLocalFile(disk.file)) return disk;
  const seen = await images.info(disk, 'shared');
  if (seen.kind !== 'seen') return disk; // The file was moved or unlinked under QEMU, whose list is all there is.
  const inFile = seen.info.snapshots.map(seenTag);
  const isInFile = (tag: SeenDisk['tags'][number]): boolean =>
    inFile.some((other) => other.tag === tag.tag && other.nativeId === tag.nativeId);
  return { ...disk, tags: [...inFile, ...disk.tags.filter((tag) => !isInFile(tag))] };
}

import { textOf, textsOf } from './arguments.ts';
import { byIdOrName, byName, type Image, type SnapshotEntry } from './image.ts';
import { addEntry, failToRemove, removeEntry } from './internal-snapshot.ts';
import type { Json, JsonObject } from './json.ts';
import type { Job, Machine, OpenDisk } from './machine.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

/** An idle guest's memory (reference: latencies). */
const MEMORY_MS = 8;
const MEMORY_BYTES = 600_000;
const DISK_MS = 1.2;
/** From the reply to `concluded`. */
const CONCLUDE_MS = 0.2;
/** How often a death in the middle of one disk's revert leaves the dangerous state (reference: 7 to 12 %). */
export const TORN_SHARE = 0.1;

const JOB_ID = /^[A-Za-z][\w.-]*$/;

interface SnapshotJob {
  readonly tag: string;
  readonly vmState: string;
  readonly devices: readonly string[];
}

type JobWork = (machine: Machine, job: SnapshotJob) => Work<void>;

/** `snapshot-save`, `-load`, `-delete`: the reply is `{}` whatever comes of it; what came of it stands in the job. */
export function* runJob(type: string, work: JobWork, machine: Machine, args: JsonObject): Work<Json> {
  const id = textOf(args, 'job-id');
  if (!JOB_ID.test(id)) throw new QmpError(`Invalid job ID '${id}'`);
  if (machine.jobs.some((job) => job.id === id)) throw new QmpError(`Job ID '${id}' already in use`);
  const wish = {
    tag: textOf(args, 'tag'),
    vmState: textOf(args, 'vmstate'),
    devices: textsOf(args, 'devices'),
  };
  const job: Job = { id, type, status: 'running', error: null };
  machine.jobs.unshift(job);
  tell(machine, job, ['created', 'running']);
  try {
    yield* work(machine, wish);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    job.error = error.message;
  }
  machine.later(CONCLUDE_MS, `job ${id} concludes`, () => {
    job.status = 'concluded';
    tell(machine, job, job.error === null ? ['waiting', 'pending', 'concluded'] : ['aborting', 'concluded']);
  });
  return {};
}

/** `job-dismiss`. */
export function dismiss(machine: Machine, id: string): void {
  const job = machine.jobs.find((job) => job.id === id);
  if (!job) throw new QmpError('Job not found');
  if (job.status !== 'concluded')
    throw new QmpError(`Job '${id}' in state '${job.status}' cannot accept command verb 'dismiss'`);
  machine.jobs = machine.jobs.filter((other) => other !== job);
  tell(machine, job, ['null']);
}

/** The machine stands still while its memory is written; then each disk gets its entry, in the order given. */
export function* save(machine: Machine, { tag, vmState, devices }: SnapshotJob): Work<void> {
  const disks = disksOf(machine, devices);
  // Only a tag on all of them is refused: one that stands on some is made a second time there (measured).
  if (disks.every((disk) => byName(machine.tableOf(disk), tag)))
    throw new QmpError(`Snapshot '${tag}' already exists in one or more devices`);
  const vmStateDisk = vmStateDiskOf(disks, vmState);
  const wasRunning = machine.isRunning;
  machine.stop('paused');
  try {
    yield* writeMemory(machine, vmStateDisk.image);
    yield* createOnEach(machine, disks, { tag, vmStateDisk });
  } finally {
    if (wasRunning) machine.resume();
  }
}

function* writeMemory(machine: Machine, image: Image): Work<void> {
  const { chance, faults, isFull } = machine.surroundings;
  yield* pause(chance, MEMORY_MS, 'save memory');
  if (isFull() || faults.happens('create-no-space'))
    throw new QmpError('Error while writing VM state: Input/output error');
  if (image.health === 'clean' && chance.happens(0.3)) image.health = 'leaks';
}

function* createOnEach(
  machine: Machine,
  disks: readonly OpenDisk[],
  { tag, vmStateDisk }: { tag: string; vmStateDisk: OpenDisk },
): Work<void> {
  const { chance, faults, isFull, wallMs } = machine.surroundings;
  const made = { name: tag, dateMs: wallMs(), vmClockNs: machine.vmClockNs };
  for (const disk of disks) {
    yield* pause(chance, DISK_MS, `save ${disk.node}`);
    if (isFull() || faults.happens('create-no-space')) {
      yield* removeEverywhere(machine, disks, tag);
      throw new QmpError(`Could not create snapshot '${tag}' on '${disk.node}'`);
    }
    const hasMemory = disk === vmStateDisk;
    addEntry(machine, disk, {
      ...made,
      vmStateSizeBytes: hasMemory ? MEMORY_BYTES : 0,
      memory: hasMemory ? machine.memory : null,
    });
  }
}

/** Goes by name, and so takes away an old snapshot of that name where the new one was not made (measured). */
function* removeEverywhere(machine: Machine, disks: readonly OpenDisk[], tag: string): Work<void> {
  for (const disk of disks) {
    const entry = byName(machine.tableOf(disk), tag);
    if (!entry) continue;
    yield* pause(machine.surroundings.chance, DISK_MS, `take back ${disk.node}`);
    removeEntry(disk, entry);
  }
}

/** Stops first, looks then: a load that fails leaves a machine that was running in `restore-vm`. */
export function* load(machine: Machine, { tag, vmState, devices }: SnapshotJob): Work<void> {
  const { chance, faults } = machine.surroundings;
  const wasRunning = machine.isRunning;
  machine.stop('restore-vm');
  const disks = disksOf(machine, devices);
  if (!disks.every((disk) => byName(machine.tableOf(disk), tag)))
    throw new QmpError(`Snapshot '${tag}' does not exist in one or more devices`);
  const memory = byName(machine.tableOf(vmStateDiskOf(disks, vmState)), tag)?.memory ?? null;
  if (memory === null)
    throw new QmpError('This is a disk-only snapshot. Revert to it  offline using qemu-img');
  for (const disk of disks) yield* revert(machine, disk, tag);
  yield* pause(chance, MEMORY_MS, 'load memory');
  if (faults.happens('vm-state-lost')) throw new QmpError('Error -22 while loading VM state');
  machine.memory = memory;
  if (wasRunning) machine.resume();
}

function* revert(machine: Machine, disk: OpenDisk, tag: string): Work<void> {
  const { chance, faults } = machine.surroundings;
  const { image } = disk;
  const entry = byIdOrName(machine.tableOf(disk), tag);
  if (!entry || faults.happens('load-io-error'))
    throw new QmpError(
      `Could not load snapshot '${tag}' on '${disk.node}': Failed to load snapshot: Input/output error`,
    );
  const wasTorn = image.health === 'torn';
  if (chance.happens(TORN_SHARE)) tear(image, entry);
  yield* pause(chance, DISK_MS, `revert ${disk.node}`);
  image.revertTo(entry);
  if (wasTorn || image.health === 'torn') image.health = 'clean';
}

/** What a death before the end of the revert leaves. */
export function tear(image: Image, entry: SnapshotEntry): void {
  image.revertTo(entry);
  image.health = 'torn';
}

/** Idempotent: a tag that is missing on some disks, or on all, is success. */
export function* remove(machine: Machine, { tag, devices }: SnapshotJob): Work<void> {
  const { chance, faults } = machine.surroundings;
  for (const disk of disksOf(machine, devices)) {
    const entry = byName(machine.tableOf(disk), tag);
    if (!entry) continue;
    yield* pause(chance, DISK_MS, `delete on ${disk.node}`);
    if (faults.happens('delete-io-error'))
      throw new QmpError(
        `Could not delete snapshot '${tag}' on '${disk.node}': ${failToRemove(disk, entry).message}`,
      );
    removeEntry(disk, entry);
  }
}

function disksOf(machine: Machine, devices: readonly string[]): OpenDisk[] {
  if (devices.length === 0) throw new QmpError('At least one device is required for snapshot');
  const disks = devices.map((device) => {
    const disk = machine.disks.find(({ node }) => node === device);
    if (disk) return disk;
    if (machine.disks.some(({ node }) => `${node}_f` === device))
      throw new QmpError(`Device '${device}' is writable but does not support snapshots`);
    throw new QmpError(`No block device node '${device}'`);
  });
  const unable = disks.find(({ image }) => !image.canSnapshot);
  if (unable) throw new QmpError(`Device '${unable.node}' is writable but does not support snapshots`);
  return disks;
}

function vmStateDiskOf(disks: readonly OpenDisk[], node: string): OpenDisk {
  const disk = disks.find((disk) => disk.node === node);
  if (!disk) throw new QmpError(`vmstate block device '${node}' does not exist`);
  return disk;
}

function tell(machine: Machine, { id }: Job, statuses: readonly string[]): void {
  for (const status of statuses) machine.emit('JOB_STATUS_CHANGE', { status, id });
}

import { textOf, textsOf } from './arguments.ts';
import { byIdOrName, byName, type Image, type SnapshotEntry } from './image.ts';
import { addEntry, type Disk, diskOfJob, failToRemove, removeEntry } from './internal-snapshot.ts';
import { conclude, newJob } from './job.ts';
import type { Json, JsonObject } from './json.ts';
import type { Machine } from './machine.ts';
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

interface SnapshotJob {
  readonly tag: string;
  readonly vmState: string;
  readonly devices: readonly string[];
}

type JobWork = (machine: Machine, job: SnapshotJob) => Work<void>;

/** `snapshot-save`, `-load`, `-delete`: the reply is `{}` whatever comes of it; what came of it stands in the job. */
export function* runJob(type: string, work: JobWork, machine: Machine, args: JsonObject): Work<Json> {
  const job = newJob(machine, { id: textOf(args, 'job-id'), type });
  const wish = {
    tag: textOf(args, 'tag'),
    vmState: textOf(args, 'vmstate'),
    devices: textsOf(args, 'devices'),
  };
  try {
    yield* work(machine, wish);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    job.error = error.message;
  }
  job.done = job.total; // Also of one that failed.
  machine.later(CONCLUDE_MS, `job ${job.id} concludes`, () => conclude(machine, job));
  return {};
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
  disks: readonly Disk[],
  { tag, vmStateDisk }: { tag: string; vmStateDisk: Disk },
): Work<void> {
  const { chance, faults, isFull, wallMs } = machine.surroundings;
  const made = { name: tag, dateMs: wallMs(), vmClockNs: machine.vmClockNs };
  for (const disk of disks) {
    yield* pause(chance, DISK_MS, `save ${disk.name}`);
    if (isFull() || faults.happens('create-no-space')) {
      yield* removeEverywhere(machine, disks, tag);
      throw new QmpError(`Could not create snapshot '${tag}' on '${disk.name}'`);
    }
    const hasMemory = disk === vmStateDisk;
    addEntry(machine, disk, {
      ...made,
      vmStateSizeBytes: hasMemory ? MEMORY_BYTES : 0,
      memory: hasMemory ? machine.guest.remember(machine.surroundings.newSerial()) : null,
    });
  }
}

/** Goes by name, and so takes away an old snapshot of that name where the new one was not made (measured). */
function* removeEverywhere(machine: Machine, disks: readonly Disk[], tag: string): Work<void> {
  for (const disk of disks) {
    const entry = byName(machine.tableOf(disk), tag);
    if (!entry) continue;
    yield* pause(machine.surroundings.chance, DISK_MS, `take back ${disk.name}`);
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
  machine.restore(memory);
  if (wasRunning) machine.resume();
}

function* revert(machine: Machine, disk: Disk, tag: string): Work<void> {
  const { chance, faults } = machine.surroundings;
  const { image } = disk;
  const entry = byIdOrName(machine.tableOf(disk), tag);
  if (!entry || faults.happens('load-io-error'))
    throw new QmpError(
      `Could not load snapshot '${tag}' on '${disk.name}': Failed to load snapshot: Input/output error`,
    );
  const wasTorn = image.health === 'torn';
  const isKilled = faults.happens('load-killed');
  if (isKilled || chance.happens(TORN_SHARE)) tear(image, entry);
  if (isKilled) machine.kill();
  yield* pause(chance, DISK_MS, `revert ${disk.name}`);
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
    yield* pause(chance, DISK_MS, `delete on ${disk.name}`);
    if (faults.happens('delete-io-error'))
      throw new QmpError(
        `Could not delete snapshot '${tag}' on '${disk.name}': ${failToRemove(disk, entry).message}`,
      );
    removeEntry(disk, entry);
  }
}

function disksOf(machine: Machine, devices: readonly string[]): Disk[] {
  if (devices.length === 0) throw new QmpError('At least one device is required for snapshot');
  return devices.map((device) => diskOfJob(machine, device));
}

function vmStateDiskOf(disks: readonly Disk[], node: string): Disk {
  const disk = disks.find((disk) => disk.name === node);
  if (!disk) throw new QmpError(`vmstate block device '${node}' does not exist`);
  return disk;
}

import type { BlockNode } from './block-graph.ts';
import type { SavedMemory } from './content.ts';
import { byName, type Image, snapshotInfo, type SnapshotEntry } from './image.ts';
import type { JsonObject } from './json.ts';
import type { Machine } from './machine.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

/** About what one disk takes, nearly all of it fdatasync (reference: latencies). */
const CREATE_MS = 1.2;
const DELETE_MS = 1.2;

/** A node of a format, and what it has open. */
export interface Disk extends BlockNode {
  readonly image: Image;
}

const isDisk = (node: BlockNode): node is Disk => node.image !== null && node.driver !== 'file';

/** Finds a node as the snapshot commands do; what lies below another node cannot be snapshotted. */
export function diskOf({ graph }: Machine, device: string): Disk {
  const node = graph.find(device);
  if (!node) throw new QmpError(`Cannot find device='${device}' nor node-name='${device}'`);
  if (isDisk(node) && !graph.isBacking(node) && graph.jobOn(node) === undefined) return node;
  throw new QmpError('Need a root block node');
}

/** The same for jobs. */
export function diskOfJob({ graph }: Machine, device: string): Disk {
  const node = graph.find(device);
  if (!node) throw new QmpError(`No block device node '${device}'`);
  if (isDisk(node) && node.image.canSnapshot && !graph.isBacking(node)) return node;
  throw new QmpError(`Device '${device}' is writable but does not support snapshots`);
}

export interface NewEntry {
  readonly name: string;
  readonly dateMs: number;
  readonly vmClockNs: number;
  readonly vmStateSizeBytes: number;
  readonly memory: SavedMemory | null;
}

/** Adds an entry to the table. As the whole table is written, what QEMU has forgotten is lost from the file too. */
export function addEntry(
  { surroundings, guest, graph }: Machine,
  disk: Disk,
  entry: NewEntry,
): SnapshotEntry {
  const { image } = disk;
  forgetHidden(disk);
  image.flush();
  const added: SnapshotEntry = {
    ...entry,
    id: image.nextId(),
    icount: null,
    serial: surroundings.newSerial(),
    content: [...image.content],
    truth: graph.read(disk),
    instant: guest.instant,
    isDamaged: false,
  };
  image.add(added);
  return added;
}

/** Takes an entry out of the table. */
export function removeEntry(disk: Disk, entry: SnapshotEntry): void {
  forgetHidden(disk);
  disk.image.remove(entry);
}

/** The table could not be written: the entry is out of QEMU's memory and still in the file (measured). */
export function failToRemove(disk: Disk, entry: SnapshotEntry): QmpError {
  disk.hidden.add(entry);
  return new QmpError('Failed to remove snapshot from snapshot list: Input/output error');
}

function forgetHidden(disk: Disk): void {
  if (disk.hidden.size === 0) return;
  for (const entry of disk.hidden) disk.image.remove(entry);
  disk.hidden.clear();
}

/** One disk of a `transaction`, or `blockdev-snapshot-internal-sync` by itself. Returns what takes it back. */
export function* createInternal(machine: Machine, device: string, name: string): Work<() => Work<void>> {
  const { chance, faults, wallMs, isFull } = machine.surroundings;
  const disk = diskOf(machine, device);
  if (disk.isReadOnly) throw new QmpError(`Device '${device}' is read only`);
  if (!disk.image.canSnapshot || machine.status === 'inmigrate' || machine.status === 'postmigrate') {
    throw new QmpError(
      `Block format '${disk.image.format}' used by device '${device}' does not support internal snapshots`,
    );
  }
  if (name === '') throw new QmpError('Name is empty');
  if (byName(machine.tableOf(disk), name))
    throw new QmpError(`Snapshot with name '${name}' already exists on device '${device}'`);
  yield* pause(chance, CREATE_MS, `snapshot ${device}`);
  if (isFull() || faults.happens('create-no-space')) {
    if (disk.image.health === 'clean') disk.image.health = 'leaks';
    throw new QmpError(`Failed to create snapshot '${name}' on device '${device}': No space left on device`);
  }
  const entry = addEntry(machine, disk, {
    name,
    dateMs: wallMs(),
    vmClockNs: machine.vmClockNs,
    vmStateSizeBytes: 0,
    memory: null,
  });
  return () => takeBack(machine, disk, entry);
}

function* takeBack(machine: Machine, disk: Disk, entry: SnapshotEntry): Work<void> {
  const { chance, faults, scheduler } = machine.surroundings;
  yield* pause(chance, DELETE_MS, `take back ${disk.name}`);
  if (!faults.happens('rollback-failed')) return removeEntry(disk, entry);
  const { message } = failToRemove(disk, entry);
  const { id, name } = entry;
  scheduler.note(
    `${machine.name} stderr: Failed to delete snapshot with id '${id}' and name '${name}' on device '' in abort: ${message}`,
  );
}

/** `blockdev-snapshot-delete-internal-sync`: by id, by name, or both. */
export function* deleteInternal(
  machine: Machine,
  device: string,
  { id, name }: { id: string | null; name: string | null },
): Work<JsonObject> {
  const { chance, faults } = machine.surroundings;
  const disk = diskOf(machine, device);
  if (id === null && name === null) throw new QmpError('Name or id must be provided');
  if (!disk.image.canSnapshot) throw new QmpError('Failed to get a snapshot list: Operation not supported');
  const entry = machine
    .tableOf(disk)
    .find((entry) => (id === null || entry.id === id) && (name === null || entry.name === name));
  if (!entry) {
    throw new QmpError(
      `Snapshot with id '${id ?? 'null'}' and name '${name ?? 'null'}' does not exist on device '${device}'`,
    );
  }
  if (disk.isReadOnly)
    throw new QmpError('Failed to remove snapshot from snapshot list: Operation not permitted');
  yield* pause(chance, DELETE_MS, `delete on ${device}`);
  if (faults.happens('delete-io-error')) throw failToRemove(disk, entry);
  removeEntry(disk, entry);
  return snapshotInfo(entry);
}

import { posix } from 'node:path';
import { tagOf } from '#ledger';
import type { SnapshotSave, Transaction, TransactionAction } from '#qmp';
import {
  JOB_BYTES_PER_MS,
  JOB_TIMEOUT_MS,
  POWER_TIMEOUT_MS,
  TRANSACTION_PER_DISK_TIMEOUT_MS,
  TRANSACTION_TIMEOUT_MS,
} from '../bounds.ts';
import type { Errand } from '../errand.ts';
import {
  awaitCopies,
  backupActions,
  copyImages,
  finishBackups,
  makeTargets,
  openTargets,
  targetsOf,
} from './backup.ts';
import { pass } from '../fault-points.ts';
import { addNode, openNodes, removeNode } from '../qemu/graph.ts';
import type { Start } from '../journal.ts';
import { memoryBytes } from '../look/machine-config.ts';
import { type MemoryStream, whileReceiving } from './memory-stream.ts';
import { draftOf, type NamedFile, publish, takeNames } from '../qemu/named-files.ts';
import { jobIdOf } from '../qemu/own-jobs.ts';
import { glance } from '../look/observe.ts';
import { oneByOne } from './one-by-one.ts';
import { type Standing, standingNow } from '../look/standing.ts';
import { whileFrozen } from './quiesce.ts';
import { diskOf, type SeenDisk, type Sight } from '../look/sight.ts';
import { together } from '../together.ts';

/** A state file needs no room for a disk: the memory lies beyond it. */
export const STATE_FILE_BYTES = 1024 * 1024;

/**
 * Captures what the start names, by the means that it names. Whatever can be made before the machine stands still is
 * made before. Gives back what a look right behind it shows; null when nobody has looked yet. Throws what QEMU or
 * qemu-img refuses.
 */
export async function capture(errand: Errand, start: Start, sight: Sight): Promise<Sight | null> {
  const disks = Object.keys(start.files).flatMap((device) => diskOf(sight, device) ?? []);
  await pass(errand.place.world, 'hypervisor.before-act');
  const made = await makeFiles(errand, start, sight);
  let seen: Sight | null = null;
  if (start.vmState === 'shutoff') {
    await keepNames(errand, made);
    const standing = await standingNow(
      errand.place,
      sight.disks.map(({ file }) => file),
    );
    await captureEach(errand, { tag: tagOf(start.snapshotId ?? ''), disks, standing });
    await copyImages(errand, start, { sight, standing });
  } else {
    const subjects = { disks, sight, made };
    if (isInDisks(start) && !start.backups) seen = await saveIntoDisks(errand, start, subjects);
    else seen = await captureTogether(errand, start, subjects);
    await finishBackups(errand, start);
  }
  await pass(errand.place.world, 'hypervisor.after-act');
  return seen;
}

/** Whether the disks that are captured take the memory as well. */
const isInDisks = ({ memory, memoryFile }: Start): boolean => memory === 'internal' && !memoryFile;

/** Whether the machine is made to stand still, so that its memory is of the same instant as its disks. */
const standsStill = ({ memory, memoryFile, backups, wasRunning }: Start): boolean =>
  wasRunning && (memoryFile !== undefined || (memory !== 'none' && backups !== undefined));

/**
 * Whether the machine may stand still because of the capture, whoever took it: the last thing that is opened before it
 * has to is still open. What its owner has stopped is not ours to let run. Of a stream nothing tells. Throws as
 * `Monitor.execute` does.
 */
export async function mayHaveStopped({ place, memory, operationId }: Errand, start: Start): Promise<boolean> {
  if (!standsStill(start)) return false;
  if (memory.stopped.get(operationId) || start.memoryFile?.format === 'stream') return true;
  const last = start.memoryFile?.node ?? start.backups?.at(-1)?.node;
  return (await openNodes(place)).some(({ nodeName }) => nodeName === last);
}

/** The images that the machine is to find under their names. */
const imagesOf = ({ overlays = [], memoryFile }: Start): NamedFile[] => [
  ...overlays.filter(({ by }) => by === 'create'),
  ...(memoryFile?.format === 'state' ? [memoryFile] : []),
];

/** New overlays, copies and the state file; tells what was made. */
async function makeFiles(errand: Errand, start: Start, sight: Sight): Promise<string[]> {
  const { place, steps } = errand;
  const { overlays = [], memoryFile } = start;
  const draft = (named: NamedFile): string => draftOf(start.snapshotId ?? '', named);
  await takeNames(errand, targetsOf(start).map(draft)); // Who dies later leaves images only where these are.
  await takeNames(errand, imagesOf(start).map(draft));
  const targets = await makeTargets(errand, start, sight);
  const works = overlays.flatMap((overlay) => {
    const { device, format, by } = overlay;
    const disk = diskOf(sight, device);
    if (by !== 'create' || !disk) return [];
    const file = draft(overlay);
    const create = () => place.images.create({ file, format }, disk.virtualSizeBytes, disk);
    return [() => steps.take('create the overlay', device, create).then(() => file)];
  });
  if (memoryFile?.format === 'state') {
    const file = draft(memoryFile);
    const create = () => place.images.create({ file, format: 'qcow2' }, STATE_FILE_BYTES, null);
    works.push(() => steps.take('create the state file', null, create).then(() => file));
  }
  const made = [...targets, ...(await together(works))];
  await publish(errand, start.snapshotId ?? '', imagesOf(start));
  return made;
}

/** Each file is in its directory for good. Throws what the file system refuses. */
export async function keepNames({ place }: Errand, made: readonly string[]): Promise<void> {
  const directories = new Set(made.map((file) => posix.dirname(file)));
  await together([...directories].map((directory) => () => place.world.files.syncDirectory(directory)));
}

/** By qemu-img. */
async function captureEach(
  errand: Errand,
  { tag, disks, standing }: { tag: string; disks: readonly SeenDisk[]; standing: Standing },
): Promise<void> {
  const { place, steps, memory, operationId } = errand;
  const subjects = disks.map((disk) => ({ disk }));
  await oneByOne(errand, { phase: 'capturing', standing }, subjects, ({ disk }) =>
    steps.take('capture the image', disk.device, () => place.images.capture(disk, tag)),
  );
  memory.ofOneInstant.add(operationId);
}

/** One transaction: all disks at the same instant, and rolled back when one refuses. Memory is saved around it. */
const captureTogether = (
  errand: Errand,
  start: Start,
  machine: Omit<Subjects, 'stream'>,
): Promise<Sight | null> =>
  whileReceiving(errand, start, (stream) => captureAll(errand, start, { ...machine, stream }));

interface Subjects {
  readonly disks: readonly SeenDisk[];
  readonly sight: Sight;
  /** The files that were made for it. */
  readonly made: readonly string[];
  /** Who receives the memory; null when it goes into an image, or nowhere. */
  readonly stream: MemoryStream | null;
}

async function captureAll(errand: Errand, start: Start, subjects: Subjects): Promise<Sight | null> {
  const { disks, sight, made, stream } = subjects;
  const { place, journal } = errand;
  const memoryFile = stream ? undefined : start.memoryFile;
  journal.progress({ phase: 'capturing', percent: null });
  // Before anything is written into them.
  await together([() => keepNames(errand, made), () => openFiles(errand, start, subjects)]);
  if (standsStill(start)) await power(errand, 'stop');
  const actions = [
    ...captureActions(start, isInDisks(start) ? [] : disks),
    ...backupActions(errand.operationId, start),
  ];
  const seen = await whileFrozen(errand, start, () => transact(errand, actions, sight));
  if (stream) await awaitCopies(errand, start); // QEMU would send nothing while one runs.
  await saveMemory(errand, start, subjects);
  if (standsStill(start)) await power(errand, 'cont');
  await stream?.keep();
  if (memoryFile) await removeNode(place, memoryFile.node);
  return start.memory === 'none' && !start.backups ? seen : null; // Much has been done since that look.
}

/** Nothing is written into them. What keeps the machine from going on is opened last, as `mayHaveStopped` wants it. */
async function openFiles(errand: Errand, start: Start, { sight, stream }: Subjects): Promise<void> {
  const { place, steps } = errand;
  const { overlays = [], memoryFile } = start;
  await together(
    overlays.map((overlay) => () => {
      const { opened } = diskOf(sight, overlay.device) ?? {};
      return steps.take('open the overlay', overlay.device, () =>
        addNode(place, { ...overlay, opened }, 'alone'),
      );
    }),
  );
  await openTargets(errand, start);
  if (!memoryFile || stream) return;
  const at = { ...memoryFile, format: 'qcow2' };
  await steps.take('open the state file', null, () => addNode(place, at, 'alone'));
}

async function saveMemory(errand: Errand, start: Start, subjects: Subjects): Promise<void> {
  const { memoryFile } = start;
  const { stream, sight } = subjects;
  if (stream) return stream.save();
  if (memoryFile)
    await saveInto(errand, start, { vmstate: memoryFile.node, nodes: [memoryFile.node], sight });
  else if (isInDisks(start)) await saveIntoDisks(errand, start, subjects);
}

function captureActions(
  { snapshotId, nodes, overlays = [] }: Start,
  disks: readonly SeenDisk[],
): TransactionAction[] {
  const name = tagOf(snapshotId ?? '');
  return [
    ...disks.map(({ node }): TransactionAction => ({
      type: 'blockdev-snapshot-internal-sync',
      data: { device: node, name },
    })),
    ...overlays.map(({ device, node }): TransactionAction => ({
      type: 'blockdev-snapshot',
      data: { node: nodes[device] ?? '', overlay: node },
    })),
  ];
}

/** Gives back a look that was sent right behind it: QEMU answers in order, so it shows what came of it. */
async function transact(
  errand: Errand,
  actions: readonly TransactionAction[],
  sight: Sight,
): Promise<Sight | null> {
  if (actions.length === 0) return null;
  const { place, steps } = errand;
  const transaction: Transaction = { actions };
  const timeoutMs = TRANSACTION_TIMEOUT_MS + actions.length * TRANSACTION_PER_DISK_TIMEOUT_MS;
  const done = steps.take('capture all disks in one transaction', null, () =>
    place.line.held.execute('transaction', transaction, { timeoutMs }),
  );
  const [seen] = await Promise.all([glance(errand, sight, timeoutMs), done]); // The transaction was sent first.
  return seen;
}

async function power({ place, steps, memory, operationId }: Errand, command: 'stop' | 'cont'): Promise<void> {
  if (command === 'stop') memory.stopped.set(operationId, true);
  await pass(place.world, 'hypervisor.before-power');
  await steps.take(command === 'cont' ? 'let the machine run' : 'stop the machine', null, () =>
    place.line.held.execute(command, {}, { timeoutMs: POWER_TIMEOUT_MS }),
  );
  if (command === 'cont') memory.stopped.set(operationId, false);
  await pass(place.world, 'hypervisor.after-power');
}

/** The memory goes into the last disk: QEMU does them in order, so whoever sees it there knows the rest is there. */
function saveIntoDisks(
  errand: Errand,
  start: Start,
  { disks, sight }: Pick<Subjects, 'disks' | 'sight'>,
): Promise<Sight | null> {
  const nodes = disks.map(({ node }) => node);
  return saveInto(errand, start, { vmstate: nodes.at(-1) ?? '', nodes, sight });
}

/** Gives back a look that was sent with it, behind the question how it went. */
async function saveInto(
  errand: Errand,
  { snapshotId, machine }: Start,
  { vmstate, nodes, sight }: { vmstate: string; nodes: readonly string[]; sight: Sight },
): Promise<Sight | null> {
  const { place, steps, journal, operationId } = errand;
  const tag = tagOf(snapshotId ?? '');
  const args: SnapshotSave = { 'job-id': jobIdOf(operationId, 1), tag, vmstate, devices: nodes };
  const monitor = place.line.held;
  const ramBytes = machine?.facts.ramBytes ?? (await memoryBytes(monitor));
  const timeoutMs = JOB_TIMEOUT_MS + ramBytes / JOB_BYTES_PER_MS;
  const onProgress = (percent: number): void => journal.progress({ phase: 'capturing', percent });
  let seen: Sight | null = null;
  const behind = async (): Promise<void> => void (seen = await glance(errand, sight, timeoutMs));
  await steps.take('save the memory', null, () =>
    monitor.runJob('snapshot-save', args, { timeoutMs, onProgress, behind }),
  );
  return seen;
}

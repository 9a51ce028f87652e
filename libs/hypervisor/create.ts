import {
  captureOfEachDisk,
  type Disk,
  planCapture,
  Refusal,
  type Report,
  type Snapshot,
  tagOf,
} from '#ledger';
import { FREE_BYTES_MIN } from './bounds.ts';
import { capture } from './capture.ts';
import type { Errand, OperationOf, Way } from './errand.ts';
import { isComplete, reportCreated } from './evidence.ts';
import type { Start } from './journal.ts';
import { glance, observeTrouble } from './observe.ts';
import { undo } from './undo.ts';
import { requireAtRest, requireWhole } from './run-states.ts';
import { canHoldTags, countOf, diskOf, type SeenDisk, type Sight, vmStateOf } from './sight.ts';
import { attempt, type Trouble, troubleOfJob } from './trouble.ts';

type Create = OperationOf<'create'>;

/** All disks or none: what is there of a capture is complete, or it is taken back; it is never completed. */
export const creating = (errand: Errand, operation: Create, snapshot: Readonly<Snapshot>): Way => ({
  admit: (sight) => admit(errand, operation, snapshot, sight),
  act: (start, sight) => act(errand, start, sight),
  async recover(start) {
    const sight = await observeTrouble(errand, start, 'needed');
    const trouble = troubleOfJob(sight, operation.id) ?? errand.memory.troubles.get(operation.id) ?? null;
    return conclude(errand, start, sight, trouble);
  },
});

async function admit(
  errand: Errand,
  operation: Create,
  snapshot: Readonly<Snapshot>,
  sight: Sight,
): Promise<Start> {
  requireAtRest(sight);
  requireWhole(sight);
  const { disks } = errand.place;
  const wishes = captureOfEachDisk(stillWished(snapshot, disks), { ...errand.vm, disks });
  const { memory, diskOnly } = operation;
  const plan = planCapture(sight.power === 'off' ? 'offline' : 'online', { memory, disks: wishes, diskOnly });
  const captured = wishes
    .filter(({ mode }) => mode === 'internal')
    .map(({ device }) => requireDisk(sight, device));
  requireNoTag(sight, snapshot);
  await Promise.all(captured.map((disk) => requireSpace(errand, disk)));
  const tag = tagOf(snapshot.id);
  return {
    operationId: operation.id,
    snapshotId: snapshot.id,
    worker: errand.worker,
    wasRunning: sight.power === 'running',
    nodes: Object.fromEntries(captured.map(({ device, node }) => [device, node])),
    files: Object.fromEntries(captured.map(({ device, file }) => [device, file])),
    plan: captured.map(({ device }) => `${plan.means}: put ${tag} on ${device}`),
    undo: captured.map(({ device }) => `remove ${tag} from ${device}`),
    vmState: vmStateOf(sight.power),
    memory: plan.memory,
  };
}

async function act(errand: Errand, start: Start, sight: Sight): Promise<Report> {
  const { trouble, result } = await attempt(() => capture(errand, start, sight));
  const seen = trouble ? null : (result ?? (await glance(errand, sight)));
  if (seen && isComplete(start, seen)) return reportCreated(errand, start, seen);
  errand.memory.troubles.set(errand.operationId, trouble ?? LIE); // The look may have to be put off.
  return conclude(errand, start, await observeTrouble(errand, start, 'needed'), trouble ?? LIE);
}

const LIE: Trouble = {
  kind: 'refused',
  category: 'unknown',
  words: 'it was reported done, but a look does not find it on every disk',
};

/** What the disks show counts, whatever was answered. */
const conclude = (errand: Errand, start: Start, sight: Sight, trouble: Trouble | null): Promise<Report> =>
  isComplete(start, sight) ? reportCreated(errand, start, sight) : undo(errand, start, sight, trouble);

/** A disk that was to be left out and is gone is left out all the same. */
const stillWished = ({ disks }: Readonly<Snapshot>, present: readonly Disk[]): Snapshot['disks'] =>
  disks.filter(({ device, mode }) => mode !== 'none' || present.some((disk) => disk.device === device));

function requireDisk(sight: Sight, device: string): SeenDisk {
  const disk = diskOf(sight, device);
  if (!disk) throw new Refusal('disk-unsupported', `the machine has no disk "${device}"`);
  if (canHoldTags(disk)) return disk;
  throw new Refusal(
    'disk-unsupported',
    `disk "${device}" (${disk.file}) cannot be captured: it is no local qcow2 file`,
  );
}

/** QEMU would make a second snapshot of the same tag, and on the next failure delete the first. */
function requireNoTag({ disks }: Sight, { id, name }: Readonly<Snapshot>): void {
  for (const disk of disks) {
    if (countOf(disk, tagOf(id)) > 0) {
      throw new Refusal('id-used', `disk "${disk.device}" holds a snapshot of the id ${id} already`);
    }
    if (countOf(disk, name) > 0) {
      throw new Refusal(
        'name-taken',
        `disk "${disk.device}" holds a foreign snapshot "${name}"; adopt or remove it first`,
      );
    }
  }
}

async function requireSpace({ place }: Errand, { device, file, freeBytes: seen }: SeenDisk): Promise<void> {
  const freeBytes = seen ?? (await place.world.files.freeBytes(file));
  if (freeBytes >= FREE_BYTES_MIN) return;
  throw new Refusal(
    'no-space',
    `${freeBytes} bytes are free where disk "${device}" lies, ${FREE_BYTES_MIN} are needed`,
  );
}

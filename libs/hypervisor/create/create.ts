import {
  captureOfEachDisk,
  type Disk,
  type DiskCapture,
  type PlannedBackup,
  planCapture,
  Refusal,
  type Report,
  type Snapshot,
  tagOf,
} from '#ledger';
import { finishBackups, stopBackups } from './backup.ts';
import { planBackups } from './backup-plan.ts';
import { capture, keepNames, mayHaveStopped } from './capture.ts';
import { awaitFoldJobs } from '../delete/fold-job.ts';
import { planMemoryFile, planOverlays, requireSpace, wordsFor } from './create-plan.ts';
import type { Errand, OperationOf, Way } from '../errand.ts';
import { findCapture, type Found, reportCreated } from './evidence.ts';
import type { Start } from '../journal.ts';
import { NotNow } from '../not-now.ts';
import { look, reach } from '../look/look.ts';
import { monitorSocket } from '../look/monitor-socket.ts';
import { machineFor } from '../look/machine-config.ts';
import { glance, observeTrouble, withUnplugged } from '../look/observe.ts';
import { removeNode } from '../qemu/graph.ts';
import { letRunOn } from '../qemu/power.ts';
import { goesDown, heedStarted, type Looked, notePushEnded } from './going-down.ts';
import { endMigration } from './memory-stream.ts';
import { requireApart } from '../qemu/named-files.ts';
import { isQuietEnough, planQuiesce, quiescedOf, thawAgain } from './quiesce.ts';
import { dropPushedBack } from './drop-pushed-back.ts';
import { undo } from './undo.ts';
import { type Times, timesBelow, timesOf, whyRewritten } from './written-below.ts';
import { requireAtRest, requireWhole } from '../look/run-states.ts';
import { canHoldTags, countOf, diskOf, type SeenDisk, type Sight, vmStateOf } from '../look/sight.ts';
import { attempt, type Trouble, troubleIn, troubleOfJob } from '../trouble.ts';

type Create = OperationOf<'create'>;

/** All disks or none: what is there of a capture is complete, or it is taken back; it is never completed. */
export const creating = (errand: Errand, operation: Create, snapshot: Readonly<Snapshot>): Way => ({
  admit: (sight) => admit(errand, operation, snapshot, sight),
  act: (start, sight) => act(errand, start, sight),
  recover: (start) => recover(errand, start),
});

/** What only this moment shows is noted first; then the guest goes on, whatever else has to be waited for. */
async function recover(errand: Errand, start: Start): Promise<Report> {
  await notePushEnded(errand, start);
  await thawAgain(errand, start);
  await awaitFoldJobs(errand);
  const failure = (await reach(errand.place)) ? await troubleIn(() => goOn(errand, start)) : null;
  const looked = await lookAfter(errand, start);
  const known =
    troubleOfJob(looked.sight, errand.operationId) ?? errand.memory.troubles.get(errand.operationId);
  return conclude(errand, start, looked, failure?.kind === 'refused' ? failure : (known ?? null));
}

/** Over a living QEMU: the machine runs again if somebody was about to let it, and the copies come to their end. */
async function goOn(errand: Errand, start: Start): Promise<void> {
  const stands = errand.memory.stopped.get(errand.operationId) === true;
  if (stands) await dropPushedBack(errand, start, await look(errand.place, 'alone')); // Whatever lets it run comes later.
  await endMigration(errand, start);
  if (stands || (await mayHaveStopped(errand, start))) await letRunOn(errand); // What comes of it is looked at in the end.
  const isRefused = errand.memory.troubles.get(errand.operationId)?.kind === 'refused';
  if (isRefused || !(await isWorthCopying(errand, start))) await stopBackups(errand, start);
  else await finishBackups(errand, start);
}

/** Copies of what was not captured are not waited for, and get no name: nothing would tell that they are ours. */
async function isWorthCopying(errand: Errand, start: Start): Promise<boolean> {
  if (!start.backups) return true;
  const sight = await look(errand.place, 'alone');
  const disks = sight.disks.filter(({ device }) => !(device in start.files));
  const inFiles = await withUnplugged(errand, start, { ...sight, disks }); // QEMU lists no tags of a disk that it copies.
  return (await findCapture(errand, start, inFiles)).isTaken;
}

async function admit(
  errand: Errand,
  operation: Create,
  snapshot: Readonly<Snapshot>,
  sight: Sight,
): Promise<Start> {
  requireAtRest(sight);
  requireWhole(sight);
  const { disks } = errand.place;
  const { request } = operation;
  const wishes = captureOfEachDisk(stillWished(request.disks, disks), { disks });
  const plan = planCapture(sight.power === 'off' ? 'offline' : 'online', { ...request, disks: wishes });
  requireNoTag(sight, snapshot);
  const internal = wishes
    .filter(({ mode }) => mode === 'internal')
    .map(({ device }) => requireDisk(sight, device));
  const external = wishes.filter(({ mode }) => mode === 'external');
  const overlays = await planOverlays(errand, snapshot.id, external, sight.disks);
  const memoryFile = await planMemoryFile(errand, operation, plan, sight);
  const backups = await planBackups(errand, snapshot.id, request.backups ?? [], sight);
  const named = [...overlays, ...(memoryFile ? [memoryFile] : [])].map(({ file }) => file);
  const made = [...named, ...backups.map(({ target }) => target)];
  requireApart(made);
  await requireSpace(errand, [...made, ...internal.map(({ file }) => file)], sight);
  const quiesce = await planQuiesce(errand, request, plan, sight);
  return {
    operationId: operation.id,
    snapshotId: snapshot.id,
    worker: errand.worker,
    wasRunning: sight.power === 'running',
    nodes: nodesOf(sight, wishes, backups),
    files: Object.fromEntries(internal.map(({ device, file }) => [device, file])),
    ...wordsFor(snapshot, plan, { internal, overlays, memoryFile, backups, quiesce }),
    vmState: vmStateOf(sight.power),
    memory: plan.memory,
    ...(overlays.length > 0 && { overlays }),
    ...(memoryFile && { memoryFile }),
    ...(backups.length > 0 && { backups }),
    ...(quiesce && { quiesce }),
    ...(await machineFor(errand.place, plan.memory, sight)),
  };
}

const nodesOf = (
  sight: Sight,
  wishes: readonly DiskCapture[],
  backups: readonly PlannedBackup[],
): Start['nodes'] =>
  Object.fromEntries(
    [...wishes.filter(({ mode }) => mode !== 'none'), ...backups].map(({ device }) => [
      device,
      diskOf(sight, device)?.node ?? '',
    ]),
  );

async function act(errand: Errand, start: Start, sight: Sight): Promise<Report> {
  const { trouble, result } = await attempt(() => capture(errand, start, sight));
  if (trouble?.kind === 'refused') await stopBackups(errand, start);
  const seen = trouble ? null : (result ?? (await glance(errand, sight)));
  if (seen) {
    const found = await findCapture(errand, start, seen);
    const isAsItWas =
      seen.power !== 'off' || !(await whyRewritten(errand, start, await timesOf(errand, start)));
    if (found.isWhole && isAsItWas) return created(errand, start, { found, sight: seen });
  }
  errand.memory.troubles.set(errand.operationId, trouble ?? LIE); // The look may have to be put off.
  return conclude(errand, start, await lookAfter(errand, start), trouble ?? LIE);
}

/** Reports it, unless the machine has gone meanwhile: to look, and to write the transcript, may take minutes. */
async function created(
  errand: Errand,
  start: Start,
  { found, sight }: { readonly found: Found; readonly sight: Sight },
  runs?: boolean,
): Promise<Report> {
  const report = await reportCreated(errand, start, found, runs);
  requireStillOn(errand, sight);
  return report;
}

/**
 * A machine that was on and has died since may have been started from below its overlays.
 *
 * @throws {NotNow} then
 */
function requireStillOn({ place }: Errand, { power }: Sight): void {
  if (power !== 'off' && !place.line.held.isOpen)
    throw new NotNow('machine-gone', 'QEMU was lost while the capture was looked at');
}

/** What is found when it may all be otherwise by now. */
interface LookedAfter extends Looked {
  /** Before anything was repaired. */
  readonly times: Times;
}

/** A machine that is on may write into its overlays until it dies: it is off when their times are read. */
async function lookAfter(errand: Errand, start: Start): Promise<LookedAfter> {
  await notePushEnded(errand, start); // QEMU may have died since, and be started again while the next look settles.
  const socket = await monitorSocket(errand.place);
  let times = await timesOf(errand, start); // Of one that was repaired at an earlier attempt, and is off since.
  const sight = await observeTrouble(errand, start, 'needed', async () => {
    times = await timesOf(errand, start);
  });
  return { sight, socket, below: await timesBelow(errand, start), times };
}

const LIE: Trouble = {
  kind: 'refused',
  category: 'unknown',
  words: 'it was reported done, but a look does not find it on every disk',
};

/** What the disks show counts, whatever was answered. */
async function conclude(
  errand: Errand,
  start: Start,
  { times, ...looked }: LookedAfter,
  trouble: Trouble | null,
): Promise<Report> {
  const { sight } = looked;
  const found = await findCapture(errand, start, sight);
  requireStillOn(errand, sight);
  const started = await heedStarted(errand, start, looked);
  const isPushed = await goesDown(errand, start);
  const isPlain = sight.power === 'off' && !isPushed;
  const why = started ?? (isPlain ? await whyLost(errand, start, found, times) : null);
  // The overlays are left to whoever can tell which data is to be kept, and nothing of them goes down.
  if (why) return undo(errand, start, { ...looked, found: { ...found, tops: [] } }, why);
  if (found.isWhole && !isPushed) return whole(errand, start, found, { sight, times });
  const isThere = found.isTaken && sight.power !== 'off';
  return undo(errand, start, { ...looked, found }, trouble ?? (isThere ? whyNotEnough(errand, start) : null));
}

/** Of a machine that is off, and has not gone on in any overlay, nothing can have been lost. */
const whyLost = (errand: Errand, start: Start, { tops }: Found, times: Times): Promise<Trouble | null> =>
  tops.length === 0 ? Promise.resolve(null) : whyRewritten(errand, start, times);

/**
 * Somebody may have died in its middle: the machine runs on, nothing of the capture stays open, and the host may go down
 * now without that a file of it is lost.
 *
 * @throws {NotNow} when the names of the files cannot be kept for good, or it was started meanwhile from what was captured
 */
async function whole(
  errand: Errand,
  start: Start,
  found: Found,
  { sight, times }: Pick<LookedAfter, 'sight' | 'times'>,
): Promise<Report> {
  const trouble = await troubleIn(() => keepNames(errand, filesOf(start)));
  if (trouble) throw new NotNow('host-unreachable', trouble.words);
  if (sight.power === 'off') {
    const why = await whyLost(errand, start, found, times); // The names may have taken long.
    if (why) throw new NotNow('machine-busy', why.words);
    return reportCreated(errand, start, found);
  }
  const runs = !(await mayHaveStopped(errand, start)) || (await letRunOn(errand));
  const { memoryFile } = start;
  if (memoryFile?.format === 'state') await troubleIn(() => removeNode(errand.place, memoryFile.node));
  return created(errand, start, { found, sight }, runs);
}

const filesOf = ({ overlays = [], memoryFile, backups = [] }: Start): string[] => [
  ...overlays.map(({ file }) => file),
  ...(memoryFile ? [memoryFile.file] : []),
  ...backups.map(({ target }) => target),
];

/** Of a capture that is there, and whose worker died before it could tell the rest. */
function whyNotEnough(errand: Errand, start: Start): Trouble | null {
  if (!isQuietEnough(errand, start)) {
    const words = quiescedOf(errand, start)?.why ?? '';
    return { kind: 'refused', category: 'unknown', reason: 'no-guest-agent', words };
  }
  if (!start.backups) return null;
  const words = 'nobody saw whether the copies of the disks are whole';
  return { kind: 'refused', category: 'unknown', reason: 'host-unreachable', words };
}

/** A disk that was to be left out and is gone is left out all the same. */
const stillWished = (wishes: readonly DiskCapture[], present: readonly Disk[]): DiskCapture[] =>
  wishes.filter(({ device, mode }) => mode !== 'none' || present.some((disk) => disk.device === device));

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

import { type FailureCode, type Leftover, type PlannedLayer, type Report, tagOf } from '#ledger';
import { mayHaveStopped, STATE_FILE_BYTES } from './capture.ts';
import { dropPushedBack } from './drop-pushed-back.ts';
import type { Errand } from '../errand.ts';
import { contentOf, type Found, layersWith } from './evidence.ts';
import { pass } from '../fault-points.ts';
import { removeNode } from '../qemu/graph.ts';
import type { Start } from '../journal.ts';
import { NotNow } from '../not-now.ts';
import { headerBacking } from '../look/chain-check.ts';
import { bearsName, draftOf, isStrange, type NamedFile } from '../qemu/named-files.ts';
import { jobIdOf } from '../qemu/own-jobs.ts';
import { letRunOn } from '../qemu/power.ts';
import { removeStopSign } from '../qemu/stop-sign.ts';
import { isDropped, pushBack, type PushOptions } from '../delete/push.ts';
import { removeTags, standing } from '../delete/removal.ts';
import { failed, held } from '../report.ts';
import type { Power, Sight } from '../look/sight.ts';
import { reasonOf, type Trouble, troubleIn } from '../trouble.ts';
import { unlinkForGood } from '../unlink-for-good.ts';
import { type Looked, markGoingDown, notePushEnded, requireNotRun, unmarkGoingDown } from './going-down.ts';
import { thawAgain } from './quiesce.ts';
import { unfinishedOf } from './stream-files.ts';

type MemoryFile = NonNullable<Start['memoryFile']>;

/** The memory is saved in jobs with lower numbers. */
const FIRST_PUSH_JOB = 10;

/**
 * Takes a create back on every disk that has something of it, and reports why it failed. What another instant
 * would add to a half-taken snapshot is not the same snapshot, so it is never completed. What the machine has written
 * into an overlay already goes down into what the overlay stands on.
 */
export async function undo(
  errand: Errand,
  start: Start,
  { found, ...looked }: Looked & { readonly found: Found },
  trouble: Trouble | null,
): Promise<Report> {
  const { world } = errand.place;
  const { sight } = looked;
  const tags = [tagOf(start.snapshotId ?? '')];
  const why = whyFailed(start, sight, trouble, standing(sight, tags).length > 0);
  await pass(world, 'hypervisor.before-undo');
  // First of all: whoever goes on after a death learns from what is open that the machine may stand, and that is closed.
  const stands = sight.power !== 'off' && (await mayStandStill(errand, start));
  if (stands) await dropPushedBack(errand, start, sight);
  const runsOn = !stands || (await letRunOn(errand));
  errand.journal.progress({ phase: 'undoing', percent: null });
  const files = await removeFiles(errand, start, { sight, found }); // What was captured tells that they are ours.
  const { leftovers } = await removeTags(errand, { start, tags, trust: 'in-files' }, sight);
  // What a caller has made for a machine that is off nobody stands on before the ledger says so.
  const isUnused = sight.power === 'off' && start.vmState === 'shutoff';
  const tops = found.tops.filter(({ by }) => by === 'create' || !isUnused);
  if (tops.some(({ by }) => by === 'create')) await markGoingDown(errand, start, looked.socket);
  const { kept, stuck } = await pushBackOrNote(errand, start, tops, looked);
  await removeStopSign(errand);
  const mark = await unmarkGoingDown(errand, start, kept);
  await pass(world, 'hypervisor.after-undo');
  const layers = kept.length === 0 ? undefined : layersWith(kept, null);
  const left = { leftovers: [...leftovers, ...files, ...stuck, ...mark], layers };
  const message = sight.power === 'off' ? why.message : await thawed(errand, start, why.message);
  if (runsOn) return failed(errand, { ...why, ...left, message });
  return held(errand, why.reason, `${message}; and QEMU would not let the machine run on`, left);
}

/** A guest that would not be thawed may by now; else whoever is told of the failure is told of that. */
async function thawed(errand: Errand, start: Start, message: string): Promise<string> {
  await thawAgain(errand, start);
  const words = errand.memory.frozen.get(errand.operationId);
  return words === undefined || message.includes(words) ? message : `${message}; and ${words}`;
}

/** Pushing an overlay back stops the machine for its end: whoever dies there leaves it so, and the job, to the next. */
const mayStandStill = async (errand: Errand, start: Start): Promise<boolean> =>
  errand.memory.stopped.get(errand.operationId) === true || mayHaveStopped(errand, start);

interface PushedBack {
  /**
   * The overlays that stay under the machine, as nobody's snapshot: those that a caller has made, and those that QEMU or
   * qemu-img would not take back.
   */
  readonly kept: readonly PlannedLayer[];
  /** Those that nobody stands on any more, and that could not be unlinked. */
  readonly stuck: readonly Leftover[];
}

/** @throws {NotNow} when nobody knows how it went; from when on it was not us who wrote is noted then */
async function pushBackOrNote(
  errand: Errand,
  start: Start,
  tops: readonly PlannedLayer[],
  looked: Looked,
): Promise<PushedBack> {
  try {
    return await pushAllBack(errand, start, tops, looked);
  } catch (error) {
    if (error instanceof NotNow) await notePushEnded(errand, start);
    throw error;
  }
}

async function pushAllBack(
  errand: Errand,
  start: Start,
  tops: readonly PlannedLayer[],
  looked: Looked,
): Promise<PushedBack> {
  const { power } = looked.sight;
  const kept: PlannedLayer[] = [];
  const stuck: Leftover[] = [];
  for (const [index, top] of tops.entries()) {
    const job = jobIdOf(errand.operationId, FIRST_PUSH_JOB + index);
    const base = top.backing ?? '';
    const lookAgain = (): Promise<void> => requireNotRun(errand, start, { ...looked, base });
    const why = await whyThere(errand, top, { power, job, lookAgain });
    const { device, file } = top;
    if (why !== null && isDropped(errand, file)) stuck.push({ device, file, tag: '', why });
    else if (why !== null) kept.push(top);
  }
  return { kept, stuck };
}

/** Pushes one overlay back; why it is still there, null when it is not. Throws as `pushBackOrNote`. */
async function whyThere(
  errand: Errand,
  { device, file, format, backing, by }: PlannedLayer,
  options: PushOptions,
): Promise<string | null> {
  const base = errand.vm.layers.get(backing ?? '');
  if (by !== 'create' || !base) return 'it is not ours to take back';
  const from = { device, file, format, backing, origin: 'ours' as const };
  const trouble = await troubleIn(() => pushBack(errand, { from, base }, options));
  if (trouble?.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  // The machine has been started since it was looked at, perhaps without the overlay: the next look tells.
  if (trouble?.category === 'locked' && options.power === 'off')
    throw new NotNow('machine-busy', trouble.words);
  // What is refused of an unlinking that has been done leaves nothing: all that was in it went down before.
  return trouble && (await errand.place.world.files.stat(file)) ? trouble.words : null;
}

/**
 * Closes and unlinks what was made and is not used. What holds data is never thrown away. What bears our name goes
 * last: it tells of the others that they are ours.
 */
async function removeFiles(
  errand: Errand,
  start: Start,
  { sight, found }: { sight: Sight; found: Found },
): Promise<Leftover[]> {
  const { overlays = [], memoryFile, backups = [] } = start;
  const { power } = sight;
  const snapshotId = start.snapshotId ?? '';
  const leftovers: Leftover[] = [];
  // Where anything was captured every draft was there before: one that is not there any more bears its name.
  const isBegun = found.evidence.length + found.tops.length > 0 || (await isAnyMade(errand, start));
  for (const { device, target: file, node, by } of backups) {
    if (power !== 'off') await close(errand, { node, by });
    if (by !== 'create') continue;
    const made = { device, file, node };
    leftovers.push(...(await removeMade(errand, { snapshotId, made }, async () => isBegun)));
  }
  const unused = overlays.filter((overlay) => !found.tops.includes(overlay));
  for (const overlay of unused) {
    if (power !== 'off') await close(errand, overlay);
    if (overlay.by === 'create') leftovers.push(...(await removeOverlay(errand, snapshotId, overlay)));
  }
  if (memoryFile) leftovers.push(...(await removeMemory(errand, snapshotId, { memoryFile, power, isBegun })));
  return leftovers;
}

/** Whether there is a file that is called as only what is made for this snapshot is. The drafts of copies come first. */
async function isAnyMade(
  { place }: Errand,
  { snapshotId, overlays = [], memoryFile }: Start,
): Promise<boolean> {
  for (const { file } of [...overlays, ...(memoryFile ? [memoryFile] : [])])
    if (bearsName(file, snapshotId ?? '') && (await place.world.files.stat(file)) !== null) return true;
  return false;
}

/**
 * Removes what was made of a file, draft or not. What lies at a caller's name and is not ours, or nobody can tell whose,
 * is left alone and told. `isOurs` is asked of what nothing else tells about; `remove` removes what is.
 */
async function removeMade(
  errand: Errand,
  { snapshotId, made }: { snapshotId: string; made: NamedFile & { readonly device: string } },
  isOurs: () => Promise<boolean>,
  remove: () => Promise<Leftover[]> = () => unlink(errand, made),
): Promise<Leftover[]> {
  const { files } = errand.place.world;
  const { file, device } = made;
  if (bearsName(file, snapshotId)) return isStrange(errand, file) ? [] : remove();
  const draft = draftOf(snapshotId, made);
  const hasDraft = (await files.stat(draft)) !== null;
  const leftovers = hasDraft ? await unlink(errand, { device, file: draft }) : [];
  if (isStrange(errand, file) || (await files.stat(file)) === null) return leftovers;
  if (!hasDraft && (await isOurs())) return [...leftovers, ...(await remove())];
  errand.steps.skip(`leave ${file}: nobody can tell that it was made for this snapshot`, device || null);
  return leftovers;
}

async function removeOverlay(errand: Errand, snapshotId: string, overlay: PlannedLayer): Promise<Leftover[]> {
  const isOurs = async () => (await headerBacking(errand.place, overlay)) === overlay.backing;
  return removeMade(errand, { snapshotId, made: overlay }, isOurs, () => removeUnwritten(errand, overlay));
}

async function removeUnwritten(errand: Errand, overlay: PlannedLayer): Promise<Leftover[]> {
  const { device, file } = overlay;
  const content = await contentOf(errand, overlay);
  if (content === 'missing' || content === 'empty') return unlink(errand, { device, file });
  return [{ device, file, tag: '', why: WHY_KEPT[content] }];
}

/** What may hold data is never thrown away. */
const WHY_KEPT = {
  data: 'it holds data of a machine that went on in it, and has been started without it since',
  unreadable: 'it cannot be read, so nobody knows whether a machine went on in it',
} as const;

async function removeMemory(
  errand: Errand,
  snapshotId: string,
  { memoryFile, power, isBegun }: { memoryFile: MemoryFile; power: Power; isBegun: boolean },
): Promise<Leftover[]> {
  const { file, node, format } = memoryFile;
  const made = { device: '', file, node };
  if (format === 'stream') {
    const unfinished = { device: '', file: unfinishedOf(snapshotId, memoryFile) };
    const half = bearsName(file, snapshotId) ? await unlink(errand, unfinished) : [];
    return [...half, ...(await removeMade(errand, { snapshotId, made }, async () => isBegun))];
  }
  if (power !== 'off') await close(errand, { node, by: 'create' });
  return removeMade(errand, { snapshotId, made }, () => isStateOf(errand, file, snapshotId));
}

/** Whether an image is as a state file is made, and holds nobody else's memory. */
async function isStateOf({ place }: Errand, file: string, snapshotId: string): Promise<boolean> {
  const seen = await place.images.info({ file, format: 'qcow2' }, 'shared');
  if (seen.kind !== 'seen') return false;
  const { backingFile, virtualSizeBytes, snapshots } = seen.info;
  const isMade = backingFile === null && virtualSizeBytes === STATE_FILE_BYTES;
  return isMade && snapshots.every(({ name }) => name === tagOf(snapshotId));
}

/** Open or not, the file is of no use: what keeps QEMU from closing it does not keep us from going on. */
async function close(
  { place, steps }: Errand,
  { node, by }: Pick<PlannedLayer, 'node' | 'by'>,
): Promise<void> {
  const words = by === 'existing' ? 'close the image of the caller' : 'close the new image';
  await troubleIn(() => steps.take(words, null, () => removeNode(place, node)));
}

/** But for what somebody else has made. */
async function unlink(
  errand: Errand,
  { device, file }: { device: string; file: string },
): Promise<Leftover[]> {
  if (isStrange(errand, file)) return [];
  const { place, steps } = errand;
  const trouble = await troubleIn(() =>
    steps.take('unlink the new file', device || null, () => unlinkForGood(place.world, file)),
  );
  return trouble ? [{ device, file, tag: '', why: trouble.words }] : [];
}

interface Why {
  readonly reason: FailureCode;
  readonly message: string;
}

/** QEMU's own words when it said any. A part without a word is what only a death leaves behind. */
function whyFailed(start: Start, sight: Sight, trouble: Trouble | null, isPartial: boolean): Why {
  const words = trouble ? `: ${trouble.words}` : '';
  if (trouble?.kind === 'refused') {
    return { reason: reasonOf(trouble), message: `the capture was refused${words}` };
  }
  if (start.vmState === 'shutoff') {
    return { reason: 'host-unreachable', message: `the capture of the images was interrupted${words}` };
  }
  if (sight.power === 'off' || isPartial) {
    return { reason: 'machine-gone', message: `QEMU died before the capture was whole${words}` };
  }
  return {
    reason: 'host-unreachable',
    message: `nobody told QEMU of the capture, or it was not heard${words}`,
  };
}

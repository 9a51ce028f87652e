import type { FailureCode, Report } from '#ledger';
import type { SnapshotLoad } from '#qmp';
import { JOB_BYTES_PER_MS, JOB_TIMEOUT_MS, LOAD_ATTEMPTS_MAX, LOAD_PAUSE_MS } from '../bounds.ts';
import { behindPlaceholders, isClosed, makePlaceholder, placeholderOf, whileClosed } from './closed-disk.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { addNode, nodeNameOf, removeNode, resetMachine } from '../qemu/graph.ts';
import type { Start } from '../journal.ts';
import { memoryDisk, whyHopeless } from './load-check.ts';
import { loadImages } from './load-images.ts';
import type { Loading } from './load-loading.ts';
import { afterDeath, finish, lookAgain, reasonFor } from './load-machine.ts';
import { holdsMemory } from './load-plan.ts';
import { dropTops, isInPlace, layersOf, makeTops, putTops, topsOf } from './load-tops.ts';
import { mendMemory } from '../look/mend.ts';
import { observe, powerNow, powerStill } from '../look/observe.ts';
import { jobIdOf } from '../qemu/own-jobs.ts';
import { setRunning } from '../qemu/power.ts';
import { removeTag } from '../delete/removal.ts';
import { failed, held } from '../report.ts';
import { diskOf, type SeenDisk, type Sight } from '../look/sight.ts';
import { Thwarted, type Trouble, troubleIn } from '../trouble.ts';

/** Images that nobody knows the node names of get one of ours; new tops and the memory have lower numbers. */
const REOPENED_FROM = 501;

/**
 * A machine that is on, and a load that is more than one job of QEMU's: disks that get new tops, disks without memory,
 * memory in a file of its own. New tops are made while the machine still runs; then it stands still until all is done.
 */
export const loadLive = (errand: Errand, loading: Loading, sight: Sight): Promise<Report> =>
  forward(errand, loading, sight);

/** Somebody began it. Nothing on a disk says how far it came, so all of it is done again. */
export const recoverLive = (errand: Errand, loading: Loading): Promise<Report> =>
  forward(errand, loading, null);

async function forward(errand: Errand, loading: Loading, first: Sight | null): Promise<Report> {
  for (let attempt = 1; ; attempt += 1) {
    const isFirst = first !== null && attempt === 1;
    const found = isFirst ? first : await lookAgain(errand, loading.start);
    if (!found) return whenOff(errand, loading);
    const sight = await behindPlaceholders(errand.place, errand.vm.disks, found);
    const hopeless = whyHopeless(sight, loading.wish.needs);
    if (hopeless) return holdTorn(errand, loading, [hopeless.reason, hopeless.message]);
    const progress: Progress = { isUntouched: isUntouched(loading, sight, isFirst), hasStopped: false };
    const trouble = await troubleIn(() => loadOnce(errand, loading, { sight, attempt }, progress));
    if (!trouble) return finish(errand, loading);
    if (trouble.kind === 'refused' && canGiveBack(loading, progress))
      return giveBack(errand, loading, progress, trouble);
    if (attempt >= LOAD_ATTEMPTS_MAX) return holdTorn(errand, loading, [reasonFor(trouble), trouble.words]);
    await errand.place.world.clock.sleep(LOAD_PAUSE_MS);
  }
}

/** Whether every disk is as it was when the load began, as far as this try knows. */
interface Progress {
  isUntouched: boolean;
  /** Whether it was this try that stopped the machine. What its owner stopped stays so. */
  hasStopped: boolean;
}

/** A pin that rests on the tops staying behind would be written into. */
const canGiveBack = ({ start, pin }: Loading, { isUntouched }: Progress): boolean =>
  isUntouched && !(pin.isSaved && topsOf(start).length > 0);

/** Who stopped a machine that stands still by now nobody can tell, so it could not be given back as it was. */
const isUntouched = (loading: Loading, sight: Sight, isFirst: boolean): boolean =>
  isFirst || (sight.power === 'running' && (loading.pin.isDue || isUnprepared(loading, sight)));

/** New tops come first: a machine that is on none of them was still being prepared. */
const isUnprepared = ({ start, pin }: Loading, sight: Sight): boolean =>
  topsOf(start).length > 0 &&
  Object.keys(start.files).length === 0 && // Of those that are loaded inside nothing can be told.
  !pin.isSaved &&
  !sight.disks.some(isClosed) &&
  !topsOf(start).some((top) => isInPlace(sight, top));

async function loadOnce(
  errand: Errand,
  loading: Loading,
  { sight, attempt }: { sight: Sight; attempt: number },
  progress: Progress,
): Promise<void> {
  const { start, wish } = loading;
  errand.journal.progress({ phase: 'preparing', percent: null });
  if (sight.power === 'running' && !progress.isUntouched) await setRunning(errand, sight.power, 'paused');
  const ready = await withoutPlaceholders(errand, start, sight);
  await makeTops(errand, start, wish, ready);
  if (!wish.withMemory) await makePlaceholders(errand, loading, ready);
  await whileStill(errand, progress, () =>
    leavePresent(errand, loading, { sight: ready, attempt }, progress),
  );
}

/** On a machine that stands still, with all made that could be made before. */
async function leavePresent(
  errand: Errand,
  loading: Loading,
  { sight, attempt }: { sight: Sight; attempt: number },
  progress: Progress,
): Promise<void> {
  const { start, wish, pin } = loading;
  const touched = (): void => void (progress.isUntouched = false);
  await pin.save(start, { ...sight, power: 'paused' });
  errand.journal.progress({ phase: 'loading', percent: null });
  await putTops(errand, loading, sight, touched);
  if (!wish.withMemory) return loadDisks(errand, loading, sight, touched);
  touched();
  return loadMemory(errand, loading, attempt);
}

/**
 * Stops the machine and does the work. Throws what the work throws, and `Thwarted` when somebody has let the machine
 * run meanwhile: what it wrote is in no snapshot, whether it stands still again or not.
 */
async function whileStill(errand: Errand, progress: Progress, work: () => Promise<void>): Promise<void> {
  const resumed = errand.place.line.held.listen(['RESUME']);
  try {
    const power = await powerNow(errand);
    progress.hasStopped = power === 'running';
    await setRunning(errand, power, 'paused');
    await work();
    const hasRun = (await powerStill(errand)) === 'running' || (await resumed.next(0)) !== null;
    if (hasRun)
      throw new Thwarted('machine-busy', 'somebody has let the machine run in the middle of the load');
  } finally {
    resumed.close();
  }
}

/**
 * A disk whose image is closed is given it back, unless it is to get a new top: whatever stands in it, it is loaded
 * next.
 */
async function withoutPlaceholders(errand: Errand, start: Start, sight: Sight): Promise<Sight> {
  const closed = sight.disks.filter(
    (seen) => isClosed(seen) && !topsOf(start).some(({ device }) => device === seen.device),
  );
  if (closed.length === 0) return sight;
  await openAgain(errand, sight, closed);
  const { place, vm } = errand;
  return behindPlaceholders(place, vm.disks, await observe(errand, 'in-files'));
}

async function openAgain(errand: Errand, sight: Sight, closed: readonly SeenDisk[]): Promise<void> {
  for (const seen of closed) {
    const disk = errand.place.disks.find(({ device }) => device === seen.device);
    if (!disk) continue;
    const index = sight.disks.indexOf(seen);
    // Of a machine that was off when it was registered, and whose placeholder was seen since, nobody knows the name.
    const node = disk.node === '' ? nodeNameOf(errand.operationId, REOPENED_FROM + index) : disk.node;
    await whileClosed(errand, { seen, image: { ...disk, node }, index }, () => Promise.resolve());
  }
}

/** The disks that are loaded inside the image they have, each with its number. */
const inPlace = ({ start, wish }: Loading, sight: Sight): { seen: SeenDisk; index: number }[] =>
  wish.needs.devices.flatMap((device, at) => {
    const seen = diskOf(sight, device);
    return seen ? [{ seen, index: topsOf(start).length + at }] : [];
  });

async function makePlaceholders(errand: Errand, loading: Loading, sight: Sight): Promise<void> {
  for (const disk of inPlace(loading, sight)) await makePlaceholder(errand, disk);
}

/** Memory that is not loaded is memory of another present: the machine starts anew. */
async function loadDisks(errand: Errand, loading: Loading, sight: Sight, touched: () => void): Promise<void> {
  const { place, steps } = errand;
  const { tag } = loading.wish.needs;
  for (const { seen, index } of inPlace(loading, sight)) {
    await whileClosed(errand, { seen, image: seen, index, isPrepared: true }, () => {
      touched();
      return steps.take('load the image', seen.device, () => place.images.load(seen, tag));
    });
  }
  await pass(place.world, 'hypervisor.before-act');
  await steps.take('reset the machine', null, () => resetMachine(place));
  await pass(place.world, 'hypervisor.after-act');
}

/** Memory, devices, and every disk that holds the snapshot inside, in one job. */
async function loadMemory(errand: Errand, loading: Loading, attempt: number): Promise<void> {
  const { place, steps, journal, operationId } = errand;
  const { start, wish } = loading;
  const { memoryFile } = start;
  const { needs } = wish;
  const copies = topsOf(start).filter((top) => holdsMemory(wish, top, start));
  const sight = await observe(errand, 'listed');
  if (memoryFile) {
    await removeNode(place, memoryFile.node);
    await addNode(place, { ...memoryFile, format: 'qcow2' }, 'alone');
  }
  const inTops = [...needs.devices, ...copies.map(({ device }) => device)];
  const nodes = inTops.flatMap((device) => diskOf(sight, device)?.node ?? []);
  const vmstate = memoryFile?.node ?? copies[0]?.node ?? memoryDisk(sight, needs)?.node ?? '';
  const devices = memoryFile ? [memoryFile.node, ...nodes] : nodes;
  const args: SnapshotLoad = { 'job-id': jobIdOf(operationId, attempt), tag: needs.tag, vmstate, devices };
  const timeoutMs = JOB_TIMEOUT_MS + (wish.snapshot.memory.sizeBytes ?? 0) / JOB_BYTES_PER_MS;
  const onProgress = (percent: number): void => journal.progress({ phase: 'loading', percent });
  await pass(place.world, 'hypervisor.before-act');
  await steps.take('load the memory', null, () =>
    place.line.held.runJob('snapshot-load', args, { timeoutMs, onProgress }),
  );
  await pass(place.world, 'hypervisor.after-act');
  if (memoryFile) await removeNode(place, memoryFile.node);
  for (const { device } of copies) await forgetTag(errand, diskOf(sight, device), needs.tag);
}

/** It still stands where it was copied from. One that cannot be removed goes with its snapshot, if it is on top then. */
async function forgetTag(errand: Errand, disk: SeenDisk | undefined, tag: string): Promise<void> {
  if (!disk) return;
  const { place, steps } = errand;
  await troubleIn(() =>
    steps.take(`remove ${tag} from the copy`, disk.device, () => removeTag(place, 'paused', { disk, tag })),
  );
}

/** Nothing was loaded: what was made for it goes, and a machine that ran runs on. */
async function giveBack(
  errand: Errand,
  loading: Loading,
  { hasStopped }: Progress,
  trouble: Trouble,
): Promise<Report> {
  const { start } = loading;
  const reason = reasonFor(trouble);
  const message = `nothing was loaded: ${trouble.words}`;
  await pass(errand.place.world, 'hypervisor.before-undo');
  await closeMemory(errand, start);
  const sight = await observe(errand, 'in-files');
  const leftovers = await dropTops(errand, start, sight);
  await dropPlaceholders(errand, loading, sight);
  const power = hasStopped ? await setRunning(errand, await powerStill(errand), 'running') : 'running';
  await pass(errand.place.world, 'hypervisor.after-undo');
  if (power === 'paused')
    return held(errand, reason, `${message}; and QEMU would not let the machine run on`);
  return failed(errand, { reason, message, leftovers });
}

/** One that is left costs nothing, and the name is this operation's own. */
async function dropPlaceholders(errand: Errand, loading: Loading, sight: Sight): Promise<void> {
  for (const { index } of inPlace(loading, sight)) {
    await troubleIn(() => removeNode(errand.place, placeholderOf(errand.operationId, index)));
  }
}

/** Never let it run: what it would write now goes onto disks of different snapshots. */
async function holdTorn(
  errand: Errand,
  { start }: Loading,
  [reason, words]: [FailureCode, string],
): Promise<Report> {
  const { place, vm } = errand;
  await setRunning(errand, await powerNow(errand), 'paused'); // Its owner may have let it run since.
  const sight = await behindPlaceholders(place, vm.disks, await observe(errand, 'listed'));
  await troubleIn(() => openAgain(errand, sight, sight.disks.filter(isClosed)));
  await closeMemory(errand, start);
  const used = topsOf(start).filter((top) => isInPlace(sight, top));
  const leftovers = await dropTops(errand, start, sight);
  const message = `the load failed and may have torn the disks; the machine stands still: ${words}`;
  return held(errand, reason, message, { leftovers, layers: layersOf(used) });
}

/**
 * What is open in this QEMU the next load could not open, and what an earlier QEMU has died in it would call damaged.
 *
 * @throws {NotNow} when somebody uses it
 */
async function closeMemory(errand: Errand, start: Start): Promise<void> {
  const { memoryFile } = start;
  if (!memoryFile) return;
  const stays = await troubleIn(() => removeNode(errand.place, memoryFile.node));
  if (!stays) errand.damage = [...errand.damage, ...(await mendMemory(errand, start))];
}

/** The memory went with the process and waits for the next one. Without it the load goes on in the files. */
const whenOff = (errand: Errand, loading: Loading): Promise<Report> =>
  loading.wish.withMemory ? afterDeath(errand, loading) : loadImages(errand, loading);

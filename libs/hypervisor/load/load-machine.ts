import type { FailureCode, Report } from '#ledger';
import type { SnapshotLoad } from '#qmp';
import { JOB_BYTES_PER_MS, JOB_TIMEOUT_MS, LOAD_ATTEMPTS_MAX, LOAD_PAUSE_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Start } from '../journal.ts';
import { type LoadWish, memoryDisk, whyHopeless } from './load-check.ts';
import { loadImages } from './load-images.ts';
import { goOnLoaded, recordLoaded } from './load-loaded.ts';
import type { Loading } from './load-loading.ts';
import { reach } from '../look/look.ts';
import { dropTops } from './load-tops.ts';
import { NotNow } from '../not-now.ts';
import { observe, observeTrouble, powerNow, powerStill } from '../look/observe.ts';
import { isJobOf, jobIdOf } from '../qemu/own-jobs.ts';
import { setRunning } from '../qemu/power.ts';
import { failed, held } from '../report.ts';
import { diskOf, type Sight } from '../look/sight.ts';
import { reasonOf, type Trouble, troubleIn, troubleOfJob } from '../trouble.ts';

/** A machine that is on: memory, devices and all disks at once, in the living process. */
export async function loadMachine(errand: Errand, loading: Loading, sight: Sight): Promise<Report> {
  const { start, wish, pin } = loading;
  // QEMU lets a machine that ran run again by itself, and nothing may run before it is recorded that all is loaded.
  const power = await setRunning(errand, sight.power, 'paused');
  const lost = await troubleIn(() => pin.save(start, { ...sight, power }));
  if (lost?.kind === 'refused') return giveBack(errand, start.wasRunning, lost);
  const trouble = lost ?? (await tryLoad(errand, wish, sight, 1));
  if (!trouble) return finish(errand, loading);
  if (isUntouched(trouble)) return giveBack(errand, start.wasRunning, trouble);
  return repeatLoad(errand, loading);
}

/** Somebody began it. A job that is over tells how it ended, else the same load is right whatever happened. */
export const recoverMachine = (errand: Errand, loading: Loading): Promise<Report> =>
  repeatLoad(errand, loading);

/** The disks may be torn, so nothing may run on them before the whole load has been done. */
async function repeatLoad(errand: Errand, loading: Loading): Promise<Report> {
  const { start, wish, pin } = loading;
  let trouble: Trouble | null = null;
  for (let attempt = 2; ; attempt += 1) {
    const sight = await lookAgain(errand, start);
    if (!sight) return afterDeath(errand, loading);
    const ended = await endOfTry(errand, loading, sight);
    if (ended) return ended;
    const power = await powerNow(errand);
    await setRunning(errand, power, 'paused');
    const hopeless = whyHopeless(sight, wish.needs);
    if (hopeless) return holdTorn(errand, hopeless.reason, hopeless.message);
    if (attempt > LOAD_ATTEMPTS_MAX)
      return holdTorn(errand, reasonFor(trouble), trouble?.words ?? 'no answer');
    const lost = await troubleIn(() => pin.save(start, { ...sight, power: 'paused' }));
    if (power === 'running' && isUnbegun(loading, lost)) return giveBack(errand, true, lost);
    trouble = lost ?? (await tryLoad(errand, wish, sight, attempt));
    if (!trouble) return finish(errand, loading);
    await errand.place.world.clock.sleep(LOAD_PAUSE_MS);
  }
}

/**
 * No disk is loaded before the present is saved. What is refused of that may be refused for ever. Who stopped a machine
 * that stood still nobody could tell.
 */
const isUnbegun = ({ pin }: Loading, lost: Trouble | null): lost is Trouble =>
  lost?.kind === 'refused' && pin.isDue;

/**
 * A look at a machine that must be on; null while it is off. Its images were repaired, and nobody has started it since:
 * they are left alone, for somebody may any moment. Throws as `look` does.
 */
export async function lookAgain(errand: Errand, start: Start): Promise<Sight | null> {
  const { place, memory, operationId } = errand;
  if (memory.mended.has(operationId) && !(await reach(place))) return null;
  const sight = await observeTrouble(errand, start, 'always');
  return sight.power === 'off' ? null : sight;
}

/** What a job of an earlier try says; null when there is none, or when it failed with the disks torn. */
async function endOfTry(errand: Errand, loading: Loading, sight: Sight): Promise<Report | null> {
  const { operationId } = errand;
  if (sight.ownJobs.some(({ id, error }) => isJobOf(operationId, id) && error === null)) {
    return finish(errand, loading);
  }
  const trouble = troubleOfJob(sight, operationId);
  const isFirstTry = sight.ownJobs.some(({ id }) => id === jobIdOf(operationId, 1));
  return trouble && isFirstTry && isUntouched(trouble)
    ? giveBack(errand, loading.start.wasRunning, trouble)
    : null;
}

async function tryLoad(
  { place, steps, journal, operationId }: Errand,
  { needs }: LoadWish,
  sight: Sight,
  attempt: number,
): Promise<Trouble | null> {
  const memory = memoryDisk(sight, needs);
  const sizeBytes = memory?.tags.find(({ tag }) => tag === needs.tag)?.vmStateSizeBytes ?? 0;
  const args: SnapshotLoad = {
    'job-id': jobIdOf(operationId, attempt),
    tag: needs.tag,
    vmstate: memory?.node ?? '',
    devices: needs.devices.flatMap((device) => diskOf(sight, device)?.node ?? []),
  };
  const timeoutMs = JOB_TIMEOUT_MS + sizeBytes / JOB_BYTES_PER_MS;
  const onProgress = (percent: number): void => journal.progress({ phase: 'loading', percent });
  await pass(place.world, 'hypervisor.before-act');
  const trouble = await troubleIn(() =>
    steps.take('load the memory and all disks', null, () =>
      place.line.held.runJob('snapshot-load', args, { timeoutMs, onProgress }),
    ),
  );
  await pass(place.world, 'hypervisor.after-act');
  return trouble;
}

/**
 * Whether QEMU gave up before it touched anything (QEMU 7.2): it checks disks, tag and memory first. A category
 * alone would not do, for the same words come from a disk in the middle of the load.
 */
const isUntouched = (trouble: Trouble): boolean =>
  trouble.kind === 'refused' &&
  !/^Could not load snapshot|while loading VM state/.test(trouble.words) &&
  ['not-found-or-partial', 'no-vm-state', 'unsupported', 'node-gone', 'bad-request', 'protocol'].includes(
    trouble.category,
  );

/** All is in place, unless QEMU has died since. */
export async function finish(errand: Errand, loading: Loading): Promise<Report> {
  const power = await powerStill(errand);
  if (power === 'off') return endedByDeath(errand, loading);
  await recordLoaded(errand, loading);
  return goOnLoaded(errand, loading, power);
}

/** Memory went with the process, so its load counts for nothing yet; what is in the files stays. */
async function endedByDeath(errand: Errand, loading: Loading): Promise<Report> {
  await observeTrouble(errand, loading.start, 'always');
  return loading.wish.withMemory ? afterDeath(errand, loading) : loadImages(errand, loading);
}

/** Nothing was loaded: a machine that ran runs on. */
async function giveBack(errand: Errand, wasRunning: boolean, trouble: Trouble): Promise<Report> {
  const reason = reasonFor(trouble);
  const message = `nothing was loaded: ${trouble.words}`;
  if (!wasRunning) return failed(errand, { reason, message, leftovers: [] });
  const power = await setRunning(errand, await powerStill(errand), 'running');
  if (power === 'paused')
    return held(errand, reason, `${message}; and QEMU would not let the machine run on`);
  return failed(errand, { reason, message, leftovers: [] });
}

/**
 * QEMU died inside the load. The images are repaired by now, so that no later write can hurt the snapshot; the
 * load itself waits for the machine.
 *
 * @throws {NotNow} unless an image could not be repaired
 */
export async function afterDeath(errand: Errand, { start }: Loading): Promise<Report> {
  if (errand.damage.length > 0) {
    const leftovers = await dropTops(errand, start, await observe(errand, 'listed'));
    return held(errand, 'machine-gone', 'QEMU died inside the load, and an image is damaged', { leftovers });
  }
  throw new NotNow('machine-gone', 'QEMU died inside the load: it will be repeated when the machine is back');
}

/** Never let it run: what it would write now goes onto disks of different snapshots. */
const holdTorn = (errand: Errand, reason: FailureCode, words: string): Promise<Report> =>
  held(errand, reason, `the load failed and may have torn the disks; the machine stands still: ${words}`);

export const reasonFor = (trouble: Trouble | null): FailureCode =>
  trouble?.kind === 'refused' ? reasonOf(trouble) : 'host-unreachable';

import type { FailureCode, Report } from '#ledger';
import type { SnapshotLoad } from '#qmp';
import { JOB_BYTES_PER_MS, JOB_TIMEOUT_MS, LOAD_ATTEMPTS_MAX, LOAD_PAUSE_MS } from './bounds.ts';
import type { Errand } from './errand.ts';
import { pass } from './fault-points.ts';
import type { Start } from './journal.ts';
import { type LoadWish, memoryDisk, whyNotLoadable } from './load-check.ts';
import { reach } from './look.ts';
import { NotNow } from './not-now.ts';
import { observeTrouble, powerNow } from './observe.ts';
import { isJobOf, jobIdOf } from './own-jobs.ts';
import { setRunning } from './power.ts';
import { ending, failed, held } from './report.ts';
import { diskOf, type Sight } from './sight.ts';
import { reasonOf, type Trouble, troubleIn, troubleOfJob } from './trouble.ts';

/** A machine that is on: memory, devices and all disks at once, in the living process. */
export async function loadMachine(
  errand: Errand,
  start: Start,
  wish: LoadWish,
  sight: Sight,
): Promise<Report> {
  // QEMU lets a machine that ran run again by itself. One that is to stand still must not run in between.
  if (wish.goesOn === 'paused') await setRunning(errand, sight.power, 'paused');
  const trouble = await tryLoad(errand, wish, sight, 1);
  if (!trouble) return finish(errand, start, wish);
  if (isUntouched(trouble)) return giveBack(errand, start, trouble);
  return repeatLoad(errand, start, wish);
}

/** Somebody began it. A job that is over tells how it ended, else the same load is right whatever happened. */
export const recoverMachine = (errand: Errand, start: Start, wish: LoadWish): Promise<Report> =>
  repeatLoad(errand, start, wish);

/** The disks may be torn, so nothing may run on them before the whole load has been done. */
async function repeatLoad(errand: Errand, start: Start, wish: LoadWish): Promise<Report> {
  let trouble: Trouble | null = null;
  for (let attempt = 2; ; attempt += 1) {
    if (await isStillGone(errand)) return afterDeath(errand);
    const sight = await observeTrouble(errand, start, 'always');
    if (sight.power === 'off') return afterDeath(errand);
    const ended = await endOfTry(errand, start, wish, sight);
    if (ended) return ended;
    await setRunning(errand, sight.power, 'paused');
    const obstacle = whyNotLoadable(sight, wish.needs);
    if (obstacle?.reason === 'machine-busy') throw new NotNow('machine-busy', obstacle.message);
    if (obstacle) return holdTorn(errand, obstacle.reason, obstacle.message);
    if (attempt > LOAD_ATTEMPTS_MAX)
      return holdTorn(errand, reasonFor(trouble), trouble?.words ?? 'no answer');
    trouble = await tryLoad(errand, wish, sight, attempt);
    if (!trouble) return finish(errand, start, wish);
    await errand.place.world.clock.sleep(LOAD_PAUSE_MS);
  }
}

/** Its images were repaired, and nobody has started it since: they are left alone, for somebody may any moment. */
const isStillGone = async ({ place, memory, operationId }: Errand): Promise<boolean> =>
  memory.mended.has(operationId) && !(await reach(place));

/** What a job of an earlier try says; null when there is none, or when it failed with the disks torn. */
async function endOfTry(errand: Errand, start: Start, wish: LoadWish, sight: Sight): Promise<Report | null> {
  const { operationId } = errand;
  if (sight.ownJobs.some(({ id, error }) => isJobOf(operationId, id) && error === null)) {
    return finish(errand, start, wish);
  }
  const trouble = troubleOfJob(sight, operationId);
  const isFirstTry = sight.ownJobs.some(({ id }) => id === jobIdOf(operationId, 1));
  return trouble && isFirstTry && isUntouched(trouble) ? giveBack(errand, start, trouble) : null;
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

/** Loaded. The machine goes on as was wished, if it can; whether it runs is what a look says. */
async function finish(errand: Errand, start: Start, { goesOn }: LoadWish): Promise<Report> {
  const power = await setRunning(errand, await powerNow(errand), goesOn);
  if (power === 'off') return repeatAfterDeath(errand, start);
  const runs = power === 'running';
  return { type: 'ReportLoaded', loaded: { ...(await ending(errand)), runs } };
}

/** The memory went with the process, so the load counts for nothing yet. */
async function repeatAfterDeath(errand: Errand, start: Start): Promise<Report> {
  await observeTrouble(errand, start, 'always');
  return afterDeath(errand);
}

/** Nothing was loaded: a machine that ran runs on. */
async function giveBack(errand: Errand, start: Start, trouble: Trouble): Promise<Report> {
  const reason = reasonFor(trouble);
  const message = `nothing was loaded: ${trouble.words}`;
  if (!start.wasRunning) return failed(errand, { reason, message, leftovers: [] });
  const power = await setRunning(errand, await powerNow(errand), 'running');
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
async function afterDeath(errand: Errand): Promise<Report> {
  if (errand.damage.length > 0)
    return held(errand, 'machine-gone', 'QEMU died inside the load, and an image is damaged');
  throw new NotNow('machine-gone', 'QEMU died inside the load: it will be repeated when the machine is back');
}

/** Never let it run: what it would write now goes onto disks of different snapshots. */
const holdTorn = (errand: Errand, reason: FailureCode, words: string): Promise<Report> =>
  held(errand, reason, `the load failed and may have torn the disks; the machine stands still: ${words}`);

const reasonFor = (trouble: Trouble | null): FailureCode =>
  trouble?.kind === 'refused' ? reasonOf(trouble) : 'host-unreachable';

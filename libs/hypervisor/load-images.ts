import type { Report } from '#ledger';
import { LOAD_ATTEMPTS_MAX, LOAD_PAUSE_MS } from './bounds.ts';
import type { Errand } from './errand.ts';
import { pass } from './fault-points.ts';
import type { Start } from './journal.ts';
import { type LoadWish, whyNotLoadable } from './load-check.ts';
import { observeTrouble } from './observe.ts';
import { setRunning } from './power.ts';
import { ending, failed, held } from './report.ts';
import type { Sight } from './sight.ts';
import { reasonOf, type Trouble, troubleIn } from './trouble.ts';

/** A machine that is off: one disk after the other, forward until all are loaded. */
export async function loadImages(errand: Errand, start: Start, { needs }: LoadWish): Promise<Report> {
  const { clock } = errand.place.world;
  const waiting = new Map(Object.entries(start.files));
  let trouble = await loadEach(errand, needs.tag, waiting);
  if (trouble && errand.isFirst && waiting.size === needs.devices.length && isLocked(trouble)) {
    return failed(errand, {
      reason: 'machine-busy',
      message: `nothing was loaded: ${trouble.words}`,
      leftovers: [],
    });
  }
  for (let attempt = 2; trouble && attempt <= LOAD_ATTEMPTS_MAX; attempt += 1) {
    await clock.sleep(LOAD_PAUSE_MS);
    const sight = await observeTrouble(errand, start, 'always');
    if (sight.power !== 'off') return holdStarted(errand, sight);
    trouble = await loadEach(errand, needs.tag, waiting);
  }
  if (!trouble) return { type: 'ReportLoaded', loaded: { ...(await ending(errand)), runs: false } };
  const reason = trouble.kind === 'refused' ? reasonOf(trouble) : 'internal';
  return held(
    errand,
    reason,
    `loaded on a part of the disks only, not on ${[...waiting.keys()].join(', ')}: ${trouble.words}`,
  );
}

/** Somebody began it. Which disks it reached nothing tells, and loading one twice does no harm. */
export async function recoverImages(errand: Errand, start: Start, wish: LoadWish): Promise<Report> {
  const sight = await observeTrouble(errand, start, 'always');
  if (sight.power !== 'off') return holdStarted(errand, sight);
  if (errand.damage.length > 0) return held(errand, 'snapshot-damaged', 'an image could not be repaired');
  const obstacle = whyNotLoadable(sight, wish.needs);
  if (obstacle)
    return held(errand, obstacle.reason, `loaded on a part of the disks only: ${obstacle.message}`);
  return loadImages(errand, start, wish);
}

/** Takes each disk off the list once it is loaded, and stops at the first that is not. */
async function loadEach(errand: Errand, tag: string, waiting: Map<string, string>): Promise<Trouble | null> {
  const { place, steps, journal } = errand;
  const count = waiting.size;
  await pass(place.world, 'hypervisor.before-act');
  for (const [device, file] of waiting) {
    journal.progress({ phase: 'loading', percent: Math.floor((100 * (count - waiting.size)) / count) });
    const trouble = await troubleIn(() =>
      steps.take('load the image', device, () => place.images.load({ file, format: 'qcow2' }, tag)),
    );
    if (trouble) return trouble;
    waiting.delete(device);
  }
  await pass(place.world, 'hypervisor.after-act');
  return null;
}

const isLocked = (trouble: Trouble): boolean => trouble.kind === 'refused' && trouble.category === 'locked';

/** Somebody started the machine on disks of which perhaps only some are loaded: it must not go on writing. */
async function holdStarted(errand: Errand, sight: Sight): Promise<Report> {
  await setRunning(errand, sight.power, 'paused');
  return held(
    errand,
    'needs-power-off',
    'the machine was started while its disks were being loaded, and has been stopped: power it off and load again',
  );
}

import type { FailureCode, Report } from '#ledger';
import { LOAD_ATTEMPTS_MAX, LOAD_PAUSE_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { reportLoaded } from './clear-away.ts';
import { whyNotLoadable } from './load-check.ts';
import { recordLoaded } from './load-loaded.ts';
import type { Loading } from './load-loading.ts';
import { loadOneByOne } from './load-one-by-one.ts';
import { dropTops, isInPlace, makeTops, topsOf } from './load-tops.ts';
import { NotNow } from '../not-now.ts';
import { observe, observeTrouble } from '../look/observe.ts';
import { setRunning } from '../qemu/power.ts';
import { failed, held } from '../report.ts';
import type { Sight } from '../look/sight.ts';
import { reasonOf, type Trouble, troubleIn } from '../trouble.ts';

/** A machine that is off: one disk after the other, forward until all are loaded. */
export async function loadImages(errand: Errand, loading: Loading): Promise<Report> {
  const round: Round = { loaded: new Set(), isPrepared: false };
  let trouble = await troubleIn(() => loadAll(errand, loading, round));
  if (trouble && isUntouched(errand, loading, round, trouble)) return giveBack(errand, loading, trouble);
  for (let attempt = 2; trouble && attempt <= LOAD_ATTEMPTS_MAX; attempt += 1) {
    await errand.place.world.clock.sleep(LOAD_PAUSE_MS);
    const sight = await observeTrouble(errand, loading.start, 'always');
    if (sight.power !== 'off')
      return whenStarted(errand, loading, sight, mayBeLoaded(errand, loading, round));
    trouble = await troubleIn(() => loadAll(errand, loading, round));
  }
  if (trouble) return holdTorn(errand, loading, round, trouble);
  await recordLoaded(errand, loading);
  return reportLoaded(errand, loading, false);
}

/** Somebody began it. Which disks it reached nothing tells, and loading one twice does no harm. */
export async function recoverImages(errand: Errand, loading: Loading): Promise<Report> {
  const sight = await observeTrouble(errand, loading.start, 'always');
  if (sight.power !== 'off') return whenStarted(errand, loading, sight, mayBeLoaded(errand, loading, null));
  const why = whyHopeless(errand, loading, sight);
  if (!why) return loadImages(errand, loading);
  const leftovers = await dropTops(errand, loading.start, sight);
  return held(errand, ...why, { leftovers });
}

function whyHopeless({ damage }: Errand, { wish }: Loading, sight: Sight): [FailureCode, string] | null {
  if (damage.length > 0) return ['snapshot-damaged', 'an image could not be repaired'];
  const obstacle = whyNotLoadable(sight, wish.needs);
  return obstacle && [obstacle.reason, `loaded on a part of the disks only: ${obstacle.message}`];
}

/** How far a load of images came. */
interface Round {
  /** Devices. */
  readonly loaded: Set<string>;
  /** Whether the present is saved and all new tops are made: nothing else can be in the way of those. */
  isPrepared: boolean;
}

/** Throws what qemu-img refuses. */
async function loadAll(errand: Errand, loading: Loading, round: Round): Promise<void> {
  if (!round.isPrepared) await prepare(errand, loading);
  round.isPrepared = true;
  await loadOneByOne(errand, loading, round.loaded);
}

/** New tops are of no consequence until the ledger calls them the machine's, so they are made first. */
async function prepare(errand: Errand, { start, wish, pin }: Loading): Promise<void> {
  if (topsOf(start).length === 0 && !pin.isDue) return;
  const sight = await observe(errand, 'in-files');
  if (sight.power !== 'off') throw new NotNow('machine-busy', 'the machine is being started');
  await makeTops(errand, start, wish, sight);
  await pin.save(start, sight);
}

/** Whether the present is as it was, and no pin rests on its staying behind. */
function isUntouched(errand: Errand, { start, pin }: Loading, round: Round, trouble: Trouble): boolean {
  if (!errand.isFirst || start.vmState !== 'shutoff' || trouble.kind !== 'refused') return false;
  if (!round.isPrepared) return !pin.isSaved;
  return (
    trouble.category === 'locked' && round.loaded.size === 0 && !(pin.isSaved && topsOf(start).length > 0)
  );
}

async function giveBack(errand: Errand, { start }: Loading, trouble: Trouble): Promise<Report> {
  const sight = await observe(errand, 'in-files');
  const leftovers = await dropTops(errand, start, sight);
  const reason = trouble.kind === 'refused' ? reasonOf(trouble) : 'internal';
  return failed(errand, { reason, message: `nothing was loaded: ${trouble.words}`, leftovers });
}

async function holdTorn(errand: Errand, { start }: Loading, round: Round, trouble: Trouble): Promise<Report> {
  const leftovers = await dropTops(errand, start, await observe(errand, 'listed'));
  const reason = trouble.kind === 'refused' ? reasonOf(trouble) : 'internal';
  const waiting = Object.keys(start.files).filter((device) => !round.loaded.has(device));
  const left = [...waiting, ...topsOf(start).map(({ device }) => device)].join(', ');
  return held(errand, reason, `loaded on a part of the disks only, not on ${left}: ${trouble.words}`, {
    leftovers,
  });
}

/** Whether a disk may have been loaded in its place, if only in part. Of another worker's round nothing tells. */
const mayBeLoaded = ({ isFirst }: Errand, { start }: Loading, round: Round | null): boolean =>
  Object.keys(start.files).length > 0 && (!isFirst || round === null || round.isPrepared);

/** Somebody started the machine. On disks of which perhaps only some are loaded it must not go on writing. */
async function whenStarted(
  errand: Errand,
  loading: Loading,
  sight: Sight,
  isLoaded: boolean,
): Promise<Report> {
  const { start, pin } = loading;
  const tops = topsOf(start);
  const isAsBefore = !isLoaded && !tops.some((top) => isInPlace(sight, top));
  if (start.vmState === 'shutoff' && isAsBefore && !(pin.isSaved && tops.length > 0)) {
    const words = 'the machine was started before any of its disks was loaded';
    return giveBack(errand, loading, { kind: 'refused', category: 'unknown', reason: 'machine-busy', words });
  }
  await setRunning(errand, sight.power, 'paused');
  if (start.vmState !== 'shutoff')
    throw new NotNow('machine-busy', 'the machine came back while its images were being loaded', 0);
  const leftovers = await dropTops(errand, start, sight);
  const words =
    'the machine was started while its disks were being loaded, and has been stopped: power it off and load again';
  return held(errand, 'needs-power-off', words, { leftovers });
}

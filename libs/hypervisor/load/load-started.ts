import type { Report } from '#ledger';
import { LAUNCH_ATTEMPTS_MAX } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { isFixed } from './load-launch.ts';
import type { Loading } from './load-loading.ts';
import { reasonFor } from './load-machine.ts';
import { dropTops, topsOf } from './load-tops.ts';
import { machineConfig, requireSameMachine } from '../look/machine-config.ts';
import { NotNow } from '../not-now.ts';
import { observe, observeTrouble } from '../look/observe.ts';
import { setRunning } from '../qemu/power.ts';
import { endProcess, launch, launchesOf } from './relaunch.ts';
import { failed, held } from '../report.ts';
import type { Sight } from '../look/sight.ts';
import { Thwarted, type Trouble, troubleIn } from '../trouble.ts';

/**
 * A machine that is off, and memory that a living process can load: a QEMU is started on the disks as they are, and
 * `load` does the rest in it. The same for whoever comes after somebody who died in the middle.
 */
export async function loadStarted(
  errand: Errand,
  loading: Loading,
  load: (loading: Loading, sight: Sight) => Promise<Report>,
): Promise<Report> {
  const { start, pin } = loading;
  const found = errand.isFirst
    ? await observe(errand, 'listed')
    : await observeTrouble(errand, start, 'always');
  if (found.power !== 'off') return load(asPaused(loading), found);
  const lost = await troubleIn(() => pin.save(start, found));
  if (lost) return nothingLoaded(errand, loading, lost);
  const trouble = await troubleIn(() => startAsIs(errand, loading));
  if (trouble)
    return errand.isFirst ? nothingLoaded(errand, loading, trouble) : notAgain(errand, loading, trouble);
  const report = await load(asPaused(loading), await observe(errand, 'listed'));
  if (report.type === 'ReportFailed' && report.failed.outcome === 'undone')
    await troubleIn(() => endProcess(errand)); // It was off. One that does not end stands still.
  return report;
}

/** The machine was off when the load began, and stands still by now. */
function asPaused(loading: Loading): Loading {
  const { launch: _, ...start } = loading.start;
  return { ...loading, start: { ...start, vmState: 'paused' } };
}

async function startAsIs(errand: Errand, { start, wish }: Loading): Promise<void> {
  const { place } = errand;
  await launch(errand, place.disks, null);
  const sight = await observe(errand, 'listed');
  await setRunning(errand, sight.power, 'paused'); // It should have been started so.
  requireSameMachine(wish.snapshot.memory.config, await machineConfig(place.line.held));
  const fixed = topsOf(start).find(({ device }) => isFixed(sight, device));
  if (!fixed) return;
  const words = `disk "${fixed.device}" was started without a node name (-drive), so its image cannot be exchanged`;
  throw new Thwarted('needs-power-off', words);
}

async function nothingLoaded(errand: Errand, { start }: Loading, trouble: Trouble): Promise<Report> {
  const stays = await troubleIn(() => endProcess(errand));
  const sight = await observe(errand, 'listed');
  const leftovers = await dropTops(errand, start, sight);
  const stands = stays ? `; its QEMU stands still, and does not end: ${stays.words}` : '';
  const message = `nothing was loaded: ${trouble.words}${stands}`;
  return failed(errand, { reason: reasonFor(trouble), message, leftovers });
}

/** An earlier try may have loaded a part of the disks. */
async function notAgain(errand: Errand, { start }: Loading, trouble: Trouble): Promise<Report> {
  await troubleIn(() => endProcess(errand));
  if (trouble.kind === 'unknown' && launchesOf(errand) < LAUNCH_ATTEMPTS_MAX)
    throw new NotNow('machine-gone', trouble.words);
  const message = `the load was cut off and may have torn the disks; the machine is off: ${trouble.words}`;
  const leftovers = await dropTops(errand, start, await observe(errand, 'listed'));
  return held(errand, reasonFor(trouble), message, { leftovers });
}

import { type Disk, type Report } from '#ledger';
import { ConnectTrouble } from '#world';
import { JOB_BYTES_PER_MS, JOB_TIMEOUT_MS, LAUNCH_ATTEMPTS_MAX, LAUNCH_TIMEOUT_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { LaunchTrouble } from '../qemu/launcher.ts';
import { reportLoaded } from './clear-away.ts';
import { goOnLoaded, recordLoaded } from './load-loaded.ts';
import type { Loading } from './load-loading.ts';
import { loadOneByOne } from './load-one-by-one.ts';
import { reasonFor } from './load-machine.ts';
import { dropTops, layersOf, makeTops, topsOf } from './load-tops.ts';
import { machineConfig, requireSameMachine } from '../look/machine-config.ts';
import { NotNow } from '../not-now.ts';
import { observe, observeTrouble, powerNow, powerStill } from '../look/observe.ts';
import { letRunOn, stopWithSign } from '../qemu/power.ts';
import { readStopSign } from '../qemu/stop-sign.ts';
import { endProcess, launch, launchesOf, until } from './relaunch.ts';
import { failed, held } from '../report.ts';
import type { Sight } from '../look/sight.ts';
import { whileSocketIsFree } from '../create/stream-files.ts';
import { type Trouble, troubleIn } from '../trouble.ts';

/*
 * Memory that was saved as a stream, disks whose images a living process cannot exchange, a machine that is off and is
 * to run: the disks are loaded while no QEMU has them, then a new one is started on them. Until the end it stands still,
 * so nothing is lost by ending it and beginning anew: it rolls forward.
 */

/** The same for whoever begins it and for whoever comes after somebody who died in the middle. */
export async function loadAnew(errand: Errand, loading: Loading): Promise<Report> {
  const { start, wish } = loading;
  const found = errand.isFirst
    ? await observe(errand, 'listed')
    : await observeTrouble(errand, start, 'always');
  const stayed = found.power === 'off' ? null : await leave(errand, loading, found);
  if (stayed) return stayed;
  const torn = await troubleIn(() => loadDisks(errand, loading, found));
  if (torn) return whenTorn(errand, loading, torn);
  if (!wish.withMemory) await recordLoaded(errand, loading);
  return startLoaded(errand, loading);
}

/** Whether all that is left to do once the disks are loaded is to start a QEMU on them. */
export const startsLast = ({ start, wish }: Loading): boolean => start.launch === 'after' && !wish.withMemory;

/** The disks are loaded, and nobody has them open. */
export async function startLoaded(errand: Errand, loading: Loading): Promise<Report> {
  const trouble = await troubleIn(() => startAnew(errand, loading));
  if (trouble) return whenNotStarted(errand, loading, trouble);
  const power = await powerStill(errand);
  if (loading.wish.withMemory) {
    if (power === 'off') throw new NotNow('machine-gone', 'QEMU died after it took the memory up');
    await recordLoaded(errand, loading);
  }
  return goOnLoaded(errand, loading, power);
}

/** Saves the present and ends the process; null when that is done. What is refused of it has changed nothing. */
async function leave(errand: Errand, loading: Loading, sight: Sight): Promise<Report | null> {
  const { start, wish, pin } = loading;
  const trouble = await troubleIn(async () => {
    if (errand.isFirst) await makeTops(errand, start, wish, { ...sight, power: 'off' }); // As files, which none opens.
    const power = await stopWithSign(errand, sight.power);
    await pin.save(start, { ...sight, power });
    await endProcess(errand);
  });
  if (!trouble) return null;
  // No disk is loaded before the present is saved. What is refused of that may be refused for ever.
  const isUntouched = errand.isFirst || (trouble.kind === 'refused' && pin.isDue);
  if (!isUntouched) throw new NotNow('host-unreachable', trouble.words);
  return giveBack(errand, loading, trouble);
}

/** The old process lives on: nothing was loaded. */
async function giveBack(errand: Errand, { start, pin }: Loading, trouble: Trouble): Promise<Report> {
  const sight = await observe(errand, 'in-files');
  if (sight.power === 'off') throw new NotNow('machine-gone', trouble.words); // Not that either: go on.
  const reason = trouble.kind === 'refused' ? reasonFor(trouble) : 'needs-power-off';
  const message = `nothing was loaded: ${trouble.words}`;
  const leftovers = await dropTops(errand, start, sight);
  if (pin.isSaved && topsOf(start).length > 0) {
    const words = `${message}; the machine stands still on what was to be saved of it`;
    return held(errand, reason, words, { leftovers });
  }
  if ((await readStopSign(errand)) && !(await letRunOn(errand)))
    return held(errand, reason, `${message}; and QEMU would not let the machine run on`, { leftovers });
  return failed(errand, { reason, message, leftovers });
}

/** One disk after the other. Nobody else has them open. Throws what qemu-img refuses. */
async function loadDisks(errand: Errand, loading: Loading, before: Sight): Promise<void> {
  const { start, wish, pin } = loading;
  const isMade = errand.isFirst && before.power !== 'off';
  const sight = await observe(errand, 'in-files');
  if (sight.power !== 'off') throw new NotNow('machine-busy', 'somebody else starts the machine');
  if (!isMade) await makeTops(errand, start, wish, sight);
  await pin.save(start, sight);
  await loadOneByOne(errand, loading, new Set());
}

async function whenTorn(errand: Errand, { start }: Loading, trouble: Trouble): Promise<Report> {
  if (trouble.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  const leftovers = await dropTops(errand, start, await observe(errand, 'listed'));
  const message = `the load failed and may have torn the disks; the machine is off: ${trouble.words}`;
  return held(errand, reasonFor(trouble), message, { leftovers });
}

/** It stands still when this resolves, with its memory if it had to be given some. */
async function startAnew(errand: Errand, { start, wish }: Loading): Promise<void> {
  const { place } = errand;
  const disks = place.disks.map((disk): Disk => {
    const top = topsOf(start).find(({ device }) => device === disk.device);
    return top ? { ...disk, file: top.file, format: top.format, node: top.node } : disk;
  });
  const { memory } = wish.snapshot;
  if (start.memoryFile?.format !== 'stream') return launch(errand, disks, null);
  const { file } = start.memoryFile;
  await whileSocketIsFree(errand, async (socket) => {
    await launch(errand, disks, `unix:${socket}`);
    requireSameMachine(memory.config, await machineConfig(place.line.held));
    await giveMemory(errand, { file, socket, sizeBytes: memory.sizeBytes ?? 0 });
  });
}

interface Giving {
  readonly file: string;
  readonly socket: string;
  readonly sizeBytes: number;
}

async function giveMemory(errand: Errand, { file, socket, sizeBytes }: Giving): Promise<void> {
  const { place, steps } = errand;
  const timeoutMs = JOB_TIMEOUT_MS + sizeBytes / JOB_BYTES_PER_MS;
  await pass(place.world, 'hypervisor.before-act');
  await steps.take('load the memory', null, async () => {
    const lost = await whyHungUp(() => place.world.streams.send(file, socket, { timeoutMs }));
    const leftMs = lost === null ? timeoutMs : LAUNCH_TIMEOUT_MS;
    await until(errand, leftMs, async () => (await observe(errand, 'listed')).runState !== 'inmigrate');
    if ((await powerNow(errand)) !== 'off') return;
    throw new LaunchTrouble(
      `the new QEMU has ended, for it could not take the memory up: ${lost ?? 'all was sent'}`,
    );
  });
  await pass(place.world, 'hypervisor.after-act');
}

/** QEMU hangs up when it has read all that it needs, and when it can make nothing of it: only a look tells. */
async function whyHungUp(send: () => Promise<void>): Promise<string | null> {
  try {
    await send();
    return null;
  } catch (error) {
    if (error instanceof ConnectTrouble) return error.message;
    throw error;
  }
}

/** A disk that is loaded is loaded. Memory without a process is not. */
async function whenNotStarted(errand: Errand, loading: Loading, trouble: Trouble): Promise<Report> {
  await troubleIn(() => endProcess(errand));
  if (trouble.kind === 'unknown' && launchesOf(errand) < LAUNCH_ATTEMPTS_MAX)
    throw new NotNow('machine-gone', trouble.words);
  if (!loading.wish.withMemory) return reportLoaded(errand, loading, false);
  const reason = trouble.kind === 'refused' ? reasonFor(trouble) : 'machine-gone';
  const message = `the disks are loaded, and the memory is not; the machine is off: ${trouble.words}`;
  const layers = layersOf(topsOf(loading.start));
  return held(errand, reason, message, layers ? { layers } : {});
}

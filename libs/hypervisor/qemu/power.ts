import { POWER_ATTEMPTS_MAX, POWER_TIMEOUT_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { runStateThroughMonitor } from '../look/look-through-monitor.ts';
import { NotNow } from '../not-now.ts';
import { powerNow, powerStill } from '../look/observe.ts';
import type { Power } from '../look/sight.ts';
import { removeStopSign, signStop } from './stop-sign.ts';
import { attempt, troubleIn } from '../trouble.ts';

/**
 * Makes a machine that is on run or stand still, and tells what a look shows afterwards: it may refuse to run, or be
 * off by then. Throws as `look` does.
 *
 * @throws {NotNow} when another QEMU may have come that was to run: nobody has looked what it stands on; and when it
 *   runs though it was to stand still: nothing may be done to it then
 */
export async function setRunning(errand: Errand, now: Power, wanted: 'running' | 'paused'): Promise<Power> {
  let power = now;
  for (let attempt = 1; attempt <= POWER_ATTEMPTS_MAX; attempt += 1) {
    if (power === wanted || power === 'off') return power;
    const trouble = await troubleIn(() => change(errand, wanted));
    power = wanted === 'running' ? await powerStill(errand) : await powerNow(errand);
    if (trouble?.kind === 'refused') break;
  }
  if (wanted === 'paused' && power === 'running')
    throw new NotNow('host-unreachable', 'the machine could not be made to stand still');
  return power;
}

/** Makes it stand still so that whoever goes on after a death knows that it was us. Throws as `setRunning` does. */
export async function stopWithSign(errand: Errand, now: Power): Promise<Power> {
  if (now === 'running') await signStop(errand);
  return setRunning(errand, now, 'paused');
}

/**
 * Lets a machine run on that an operation has made to stand still. One that somebody has started standing since, or
 * that stands for a reason of its own, is left as it is. Whether QEMU has let it, if it was asked to. Throws as `look`
 * does.
 */
export async function letRunOn(errand: Errand): Promise<boolean> {
  const { result, trouble } = await attempt(async () => {
    const runState = await runStateThroughMonitor(errand.place.line.held);
    if (!STOPPED_BY_US.has(runState)) return true;
    return (await setRunning(errand, 'paused', 'running')) !== 'paused';
  });
  if (trouble?.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  return result ?? false;
}

/** What `stop` and a migration leave behind. A machine that is started standing is in `prelaunch`. */
const STOPPED_BY_US: ReadonlySet<string> = new Set(['paused', 'postmigrate']);

async function change(errand: Errand, wanted: 'running' | 'paused'): Promise<void> {
  const { place, steps, memory, operationId } = errand;
  const command = wanted === 'running' ? 'cont' : 'stop';
  if (wanted === 'paused') memory.stopped.set(operationId, true); // It may be, though nobody hears of it.
  await pass(place.world, 'hypervisor.before-power');
  await steps.take(wanted === 'running' ? 'let the machine run' : 'stop the machine', null, () =>
    place.line.held.execute(command, {}, { timeoutMs: POWER_TIMEOUT_MS }),
  );
  if (wanted === 'running') {
    memory.stopped.set(operationId, false);
    await removeStopSign(errand);
  }
  await pass(place.world, 'hypervisor.after-power');
}

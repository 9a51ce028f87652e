import { POWER_ATTEMPTS_MAX, POWER_TIMEOUT_MS } from './bounds.ts';
import type { Errand } from './errand.ts';
import { pass } from './fault-points.ts';
import { powerNow } from './observe.ts';
import type { Power } from './sight.ts';
import { troubleIn } from './trouble.ts';

/**
 * Makes a machine that is on run or stand still, and tells what a look shows afterwards: it may refuse to run, or be
 * off by then. Throws as `look` does.
 */
export async function setRunning(errand: Errand, now: Power, wanted: 'running' | 'paused'): Promise<Power> {
  let power = now;
  for (let attempt = 1; attempt <= POWER_ATTEMPTS_MAX; attempt += 1) {
    if (power === wanted || power === 'off') return power;
    const trouble = await troubleIn(() => change(errand, wanted));
    power = await powerNow(errand);
    if (trouble?.kind === 'refused') return power;
  }
  return power;
}

async function change({ place, steps }: Errand, wanted: 'running' | 'paused'): Promise<void> {
  const command = wanted === 'running' ? 'cont' : 'stop';
  await pass(place.world, 'hypervisor.before-power');
  await steps.take(wanted === 'running' ? 'let the machine run' : 'stop the machine', null, () =>
    place.line.held.execute(command, {}, { timeoutMs: POWER_TIMEOUT_MS }),
  );
  await pass(place.world, 'hypervisor.after-power');
}

import { POWER_ATTEMPTS_MAX, POWER_TIMEOUT_MS } from './bounds.ts';
import type { Errand } from './errand.ts';
import { pass } from './fault-points.ts';
import { observe } from './observe.ts';
import type { Sight } from './sight.ts';
import { troubleIn } from './trouble.ts';

/**
 * Makes a machine that is on run or stand still, and returns the look that shows whether it does. A machine may
 * refuse to run, or be off by then: the caller decides what that means. Throws as `look` does.
 */
export async function setRunning(errand: Errand, sight: Sight, wanted: 'running' | 'paused'): Promise<Sight> {
  let seen = sight;
  for (let attempt = 1; attempt <= POWER_ATTEMPTS_MAX; attempt += 1) {
    if (seen.power === wanted || seen.power === 'off') return seen;
    const trouble = await troubleIn(() => change(errand, wanted));
    seen = await observe(errand, 'listed');
    if (trouble?.kind === 'refused') return seen;
  }
  return seen;
}

async function change({ place, steps }: Errand, wanted: 'running' | 'paused'): Promise<void> {
  const command = wanted === 'running' ? 'cont' : 'stop';
  await pass(place.world, 'hypervisor.before-power');
  await steps.take(wanted === 'running' ? 'let the machine run' : 'stop the machine', null, () =>
    place.line.held.execute(command, {}, { timeoutMs: POWER_TIMEOUT_MS }),
  );
  await pass(place.world, 'hypervisor.after-power');
}

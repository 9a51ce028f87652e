import type { Disk } from '#ledger';
import { LAUNCH_PROBE_MS, LAUNCH_TIMEOUT_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { type Launch, type Launcher, LaunchTrouble } from '../qemu/launcher.ts';
import { reach } from '../look/look.ts';
import { NotNow } from '../not-now.ts';
import { observe } from '../look/observe.ts';
import type { Place } from '../place.ts';

/** How often this worker has started a machine for the operation. */
export const launchesOf = ({ memory, operationId }: Errand): number => memory.launched.get(operationId) ?? 0;

/**
 * Starts a QEMU on these disks and waits until it answers. Throws `LaunchTrouble`, and as `look` does.
 */
export async function launch(
  errand: Errand,
  disks: readonly Disk[],
  incoming: Launch['incoming'],
): Promise<void> {
  const { place, vm, steps, memory, operationId } = errand;
  const launcher = launcherOf(place);
  memory.launched.set(operationId, launchesOf(errand) + 1);
  await pass(place.world, 'hypervisor.before-launch');
  await steps.take('start a QEMU', null, async () => {
    await launcher.start(vm, { disks, incoming });
    await until(errand, LAUNCH_TIMEOUT_MS, async () => (await reach(place)) !== null);
  });
  await pass(place.world, 'hypervisor.after-launch');
}

/**
 * Ends the machine's QEMU, if there is one, and waits until its images are free. Throws as `launch` does.
 */
export async function endProcess(errand: Errand): Promise<void> {
  const { place, vm, steps } = errand;
  if (!(await reach(place))) return;
  const launcher = launcherOf(place);
  await pass(place.world, 'hypervisor.before-launch');
  await steps.take('end the QEMU', null, async () => {
    await launcher.stop(vm);
    await until(errand, LAUNCH_TIMEOUT_MS, async () => (await observe(errand, 'listed')).power === 'off');
  });
  await pass(place.world, 'hypervisor.after-launch');
}

function launcherOf({ launcher }: Place): Launcher {
  if (launcher) return launcher;
  throw new NotNow('needs-power-on', 'the load needs a launcher, and this worker has none any more');
}

/**
 * Waits until something is so. Between two processes nothing can be told for a moment: an image is still locked, a
 * monitor not yet served. Throws `LaunchTrouble` when the time is up.
 */
export async function until(errand: Errand, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
  const { clock } = errand.place.world;
  const deadline = clock.monotonic() + timeoutMs;
  for (;;) {
    const answer = await orWords(isSo);
    if (answer === true) return;
    if (clock.monotonic() >= deadline)
      throw new LaunchTrouble(answer || `it has not come to be in ${timeoutMs} ms`);
    await clock.sleep(LAUNCH_PROBE_MS);
  }
}

async function orWords(isSo: () => Promise<boolean>): Promise<boolean | string> {
  try {
    return await isSo();
  } catch (error) {
    if (error instanceof NotNow) return error.message;
    throw error;
  }
}

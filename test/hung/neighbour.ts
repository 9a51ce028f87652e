/* Another machine of the same ledgerd: how fast is it served, while one beside it is in trouble? */
import { setTimeout } from 'node:timers/promises';
import type { DaemonProcess } from '../crash/daemon-process.ts';
import { type Subject, take } from '../crash/machine.ts';

/** How often each thing is timed; the middle one counts. */
const TIMES = 5;
/** A request that is queued behind a machine that hangs is not answered at all. */
const SERVED_WITHIN_MS = 5_000;

/**
 * How long it takes to snapshot a machine, in ms: the median of a few. Throws when one is not served while there is
 * nothing wrong with it.
 */
export async function pulse(neighbour: Subject, daemon: DaemonProcess): Promise<number> {
  const timesMs: number[] = [];
  for (let time = 0; time < TIMES; time += 1) {
    const beganMs = performance.now();
    await served(take(neighbour, daemon, `pulse-${process.hrtime.bigint()}`, { diskOnly: true }));
    timesMs.push(performance.now() - beganMs);
  }
  return timesMs.toSorted((one, other) => one - other)[Math.floor(TIMES / 2)] ?? 0;
}

async function served(work: Promise<unknown>): Promise<void> {
  const patience = new AbortController();
  const late = setTimeout(SERVED_WITHIN_MS, undefined, { signal: patience.signal }).then(
    () => {
      throw new Error(`the machine beside it was not served within ${SERVED_WITHIN_MS} ms`);
    },
    () => undefined, // It was.
  );
  await Promise.race([work, late]);
  patience.abort();
}

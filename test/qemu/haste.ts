/* Waiting for what never comes should not take a test as long as it takes a product. */
import { join } from 'node:path';
import { type Hypervisor, NotNow, openHypervisor } from '#hypervisor';
import { realWorld, type World } from '#world';
import type { House } from './house.ts';
import { type Notebook, type Outcome, outcomeOf } from '../hypervisor/notebook.ts';

const FASTER = 10;
const ATTEMPTS_MAX = 100;
const PAUSE_MS = 50;

/** The real world, whose clock runs ten times as fast. */
export function hastyWorld(fault?: World['fault']): World {
  const world = realWorld(fault);
  const { clock } = world;
  return {
    ...world,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() * FASTER,
      sleep: (ms, signal) => clock.sleep(ms / FASTER, signal),
    },
  };
}

/** Between two looks whether a machine that is gone comes back: three seconds of them. */
const SETTLE_PROBE_MS = 500;

/** The real world, in which nobody waits for a machine to come back that is gone: for tests in which it stays off. */
export function settledWorld(fault?: World['fault']): World {
  const world = realWorld(fault);
  const { clock } = world;
  let skippedMs = 0;
  return {
    ...world,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + skippedMs,
      sleep: (ms, signal) => {
        if (signal || ms !== SETTLE_PROBE_MS) return clock.sleep(ms, signal);
        skippedMs += ms;
        return clock.sleep(0);
      },
    },
  };
}

export interface Successor {
  readonly hypervisor: Hypervisor;
  readonly book: Notebook;
}

/** The next worker on the same machine and ledger. The monitor serves one at a time, so the first one leaves. */
export async function successor(home: House, fault?: World['fault']): Promise<Successor> {
  await home.hypervisor.close();
  const hypervisor = openHypervisor({
    world: hastyWorld(fault),
    monitorRoots: [home.dir],
    imageRoots: [home.dir],
    worker: 'w2',
    transcriptsDir: join(home.dir, 'transcripts'),
    socketsDir: join(home.dir, 'sockets'),
  });
  return { hypervisor, book: home.book.heir(hypervisor) };
}

/** Works on the open operation until it ends. */
export async function finish(book: Notebook): Promise<Omit<Outcome, 'snapshotId'>> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    try {
      return outcomeOf(await book.work());
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      await realWorld().clock.sleep(PAUSE_MS);
    }
  }
  throw new Error(`the operation has not ended after ${ATTEMPTS_MAX} attempts`);
}

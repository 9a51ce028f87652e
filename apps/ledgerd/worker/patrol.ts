import type { World } from '#world';
import { type Ledgers, REGISTRY_STREAM, streamOf } from '../ledger.ts';
import { tellUnseen, type WorkerLog } from './log.ts';

/** How far a pause may be shorter or longer than it should be, so that many hosts do not look at the same moment. */
const JITTER = 0.2;

export interface PatrolOptions {
  readonly world: World;
  readonly ledgers: Ledgers;
  readonly host: string;
  readonly log: WorkerLog;
  /** How often each VM is looked at; 0: never. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** Looks at one VM. */
  readonly visit: (vmId: string) => Promise<unknown>;
}

/**
 * Looks for drift in every VM of this host that nobody works on, one after the other, spread over the time: a host
 * with a thousand VMs is never busy with looking. Ends with the signal.
 */
export async function patrol(options: PatrolOptions): Promise<void> {
  const { signal, everyMs, log } = options;
  if (everyMs === 0) return;
  while (!signal.aborted) {
    try {
      await round(options);
    } catch (error) {
      log.trouble('a round of looks for drift was given up', error);
      await pause(options, everyMs);
    }
  }
}

async function round(options: PatrolOptions): Promise<void> {
  const vmIds = await idleOnes(options);
  const pauseMs = options.everyMs / Math.max(1, vmIds.length);
  if (vmIds.length === 0) await pause(options, pauseMs);
  for (const vmId of vmIds) {
    await pause(options, pauseMs);
    if (options.signal.aborted) return;
    await look(options, vmId);
  }
}

async function idleOnes({ ledgers, host }: PatrolOptions): Promise<string[]> {
  const { state: registry } = await ledgers.registry.state(REGISTRY_STREAM);
  const ours: string[] = [];
  for (const vmId of [...registry.claims.keys()]) {
    const { state: vm } = await ledgers.vms.state(streamOf(vmId));
    if (vm.life === 'registered' && vm.host === host && !vm.operation) ours.push(vmId);
  }
  return ours;
}

/** A VM that is busy by now, or cannot be reached, is looked at next time. */
async function look({ visit, log }: PatrolOptions, vmId: string): Promise<void> {
  try {
    await visit(vmId);
  } catch (error) {
    tellUnseen(log, vmId, error);
  }
}

const pause = ({ world, signal }: PatrolOptions, ms: number): Promise<void> =>
  world.clock.sleep(ms * (1 - JITTER + 2 * JITTER * world.random.next()), signal);

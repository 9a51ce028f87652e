import { type Asked, type EventStore, follow, type FollowedBatch, type Handled } from '#event-store';
import type { Hypervisor } from '#hypervisor';
import type { Command, Vm, VmEvent } from '#ledger';
import type { World } from '#world';
import { type Ledgers, REGISTRY_STREAM, streamOf, vmOf } from '../ledger.ts';
import { Backoff } from './backoff.ts';
import { Lane, type Progress } from './lane.ts';
import { patrol } from './patrol.ts';
import type { WorkerLog } from './log.ts';
import type { AskedRepair, Repaired } from './repair.ts';
import { Places } from '../places.ts';

/** Operations carried out at the same time on one host. The rest waits in its lanes. */
const OPERATIONS_AT_ONCE_MAX = 64;

/** Between two tries to read what is open. */
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 10_000;

/** What is worth a wake-up: everything else leaves the to-do list as it was. */
const WAKING: ReadonlySet<string> = new Set([
  'VmRegistered',
  'VmChanged',
  'VmForgotten',
  'SnapshotRequested',
  'LoadRequested',
  'DeleteRequested',
  'CreateFailed',
  'LoadFailed',
  'DeleteFailed',
]);

export interface WorkerOptions {
  readonly world: World;
  readonly store: EventStore;
  readonly ledgers: Ledgers;
  readonly hypervisor: Hypervisor;
  /** Only the VMs of this host are ours. */
  readonly host: string;
  readonly log: WorkerLog;
  /** How often each VM that nobody works on is looked at for drift; 0: never. */
  readonly reconcileEveryMs: number;
}

export interface Worker {
  /** Resolves when every open operation of this host has been found and woken, or at the end. Never rejects. */
  readonly ready: Promise<void>;
  /** Something is about to be asked of the VM: its machine is looked at already. Nothing depends on it. */
  expect(vmId: string, command: Command): void;
  /** VMs whose operation is past its deadline and not ended. */
  overdue(): ReadonlySet<string>;
  /** Live progress of a VM's operation; null when none is being carried out here. */
  progressOf(vmId: string): Progress | null;
  /**
   * Looks whether a VM is what the ledger believes, and records what is different.
   *
   * @throws {Refusal} `vm-unknown`, `vm-busy`, and what keeps it from being looked at
   */
  reconcile(vmId: string, asked: Asked): Promise<Handled<VmEvent>>;
  /** Looks, and removes the orphans of a plan that was accepted. @throws {Refusal} as `reconcile`, and `plan-changed` */
  repair(vmId: string, asked: AskedRepair): Promise<Repaired>;
  /** Lets go: what is not finished stays open in the log, and the next worker finishes it. */
  stop(): Promise<void>;
}

/**
 * Does what was decided, and reports how it went.
 *
 * It has no checkpoint. Its to-do list is the open operations in the log, found by folding every claimed VM once at
 * the start; following the log from then on only wakes a VM's lane. Start, retry and recovery are the same code.
 */
export function startWorker(options: WorkerOptions): Worker {
  const { world, store, ledgers, hypervisor, host, log } = options;
  const stopping = new AbortController();
  const places = new Places(OPERATIONS_AT_ONCE_MAX);
  const lanes = new Map<string, Lane>();

  const laneOf = (vmId: string): Lane => {
    const known = lanes.get(vmId);
    if (known) return known;
    const lane = new Lane({ ...options, vmId, places, signal: stopping.signal });
    lanes.set(vmId, lane);
    return lane;
  };
  const wake = (vmId: string): void => laneOf(vmId).wake();

  /** What goes wrong here goes wrong for whoever asks as well, and is told to them. */
  const expectOperation = async (vmId: string, command: Command): Promise<void> => {
    const { state: vm } = await ledgers.vms.state(streamOf(vmId));
    const isOurs = vm.host === host && vm.life === 'registered';
    const isFree = !vm.operation && !vm.hold && !stopping.signal.aborted;
    const isElsewhere = lanes.get(vmId)?.lock.isElsewhere ?? false;
    if (isOurs && isFree && !isElsewhere) hypervisor.expect(vm, isOfMemory(command, vm));
  };

  const findOpenOperations = async (): Promise<void> => {
    const { state: registry } = await ledgers.registry.state(REGISTRY_STREAM);
    for (const vmId of registry.claims.keys()) {
      const { state: vm } = await ledgers.vms.state(streamOf(vmId));
      if (vm.operation || vm.hold) wake(vmId);
    }
  };

  const start = async (): Promise<Followed> => {
    const from = await store.head(); // Before the fold: what comes later is followed, what came earlier is folded.
    await findOpenOperations();
    return follow({
      world,
      store,
      from,
      name: 'worker',
      signal: stopping.signal,
      on: async (batch: FollowedBatch) => wokenBy(batch).forEach(wake),
      onTrouble: (error) => log.trouble('the worker cannot follow the log', error),
    });
  };
  const started = untilStarted(options, stopping.signal, start);
  const visit = (vmId: string): Promise<Handled<VmEvent>> => laneOf(vmId).reconcile(byPatrol(options));
  const patrolled = started.then(() =>
    patrol({ ...options, everyMs: options.reconcileEveryMs, signal: stopping.signal, visit }),
  );

  return {
    ready: started.then(() => undefined),
    expect: (vmId, command) => void expectOperation(vmId, command).catch(() => undefined),
    overdue: () => new Set([...lanes.values()].filter((lane) => lane.isOverdue).map((lane) => lane.vmId)),
    reconcile: (vmId, asked) => laneOf(vmId).reconcile(asked),
    repair: (vmId, asked) => laneOf(vmId).repair(asked),
    progressOf: (vmId) => lanes.get(vmId)?.progress ?? null,
    stop: async () => {
      stopping.abort();
      await started.then((following) => following?.stopped);
      await patrolled;
      await Promise.all([...lanes.values()].map((lane) => lane.end()));
    },
  };
}

/**
 * Tried until it works: a process whose worker has given up would take requests that nobody carries out. Null when it
 * is stopped before.
 */
async function untilStarted(
  { world, log }: Pick<WorkerOptions, 'world' | 'log'>,
  signal: AbortSignal,
  start: () => Promise<Followed>,
): Promise<Followed | null> {
  const backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  while (!signal.aborted) {
    try {
      return await start();
    } catch (error) {
      log.trouble('the worker could not start and tries again', error);
      await world.clock.sleep(backoff.nextMs(), signal);
    }
  }
  return null;
}

/** Whether it is likely to capture or load memory. */
function isOfMemory(command: Command, { snapshots }: Pick<Vm, 'snapshots'>): boolean {
  if (command.type === 'CreateSnapshot') return !command.diskOnly && command.memory !== 'none';
  if (command.type !== 'LoadSnapshot' || command.disksOnly) return false;
  return (snapshots.get(command.snapshotId)?.memory.mode ?? 'none') !== 'none';
}

const byPatrol = ({ world, host }: WorkerOptions): Asked => ({
  actor: `worker:${host}`,
  correlationId: world.ids.uuid(),
  request: { by: 'patrol' },
});

type Followed = ReturnType<typeof follow>;

const wokenBy = (batch: FollowedBatch): string[] =>
  batch.flatMap(({ stream, type }) => (WAKING.has(type) ? (vmOf(stream) ?? []) : []));

import type { Asked, EventStore, Handled } from '#event-store';
import type { Hypervisor, OrphanLeft } from '#hypervisor';
import type { Command, Limits, VmEvent } from '#ledger';
import type { Views } from '#views';
import type { World } from '#world';
import type { Ledgers } from '../ledger.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';

/** Under this name the controllers are given the house. */
export const HOUSE = Symbol('house');

/** Everything the HTTP door asks or shows. It owns nothing of it. */
export interface House {
  readonly world: World;
  readonly store: EventStore;
  readonly ledgers: Ledgers;
  readonly views: Views;
  /** How a machine is looked at; null in a process without the role worker. */
  readonly hypervisor: Hypervisor | null;
  readonly worker: WorkerWindow;
  /** The host whose machines can be looked at from here. */
  readonly host: string;
  readonly limits: Limits;
  readonly log: Log;
  readonly metrics: Metrics;
  /** VMs that wait for an operator. */
  readonly heldCount: () => number;
  /** Aborts when the daemon stops: whoever waits or streams ends then. */
  readonly stopping: AbortSignal;
}

/** What can be seen of the worker from here: nothing of the log depends on it. */
export interface WorkerWindow {
  /** Whether every open operation of this host has been found; true where there is no worker. */
  isReady(): boolean;
  /** Something is about to be asked of the VM: the worker looks at its machine while the request becomes durable. */
  expect(vmId: string, command: Command): void;
  /** VMs whose operation is past its deadline and not ended. */
  overdue(): ReadonlySet<string>;
  /**
   * Looks whether a VM is what the ledger believes, never while something is carried out on it, and records what is
   * different.
   *
   * @throws {Refusal} `vm-unknown`, `vm-busy`, and what keeps it from being looked at
   */
  reconcile(vmId: string, asked: Asked): Promise<Handled<VmEvent>>;
  /**
   * Looks, and removes the orphans of a plan that was accepted; tells what is left of them, and why.
   *
   * @throws {Refusal} as `reconcile`, `vm-held`, and `plan-changed`
   */
  repair(
    vmId: string,
    wanted: { readonly asked: Asked; readonly planHash: string },
  ): Promise<{ readonly handled: Handled<VmEvent>; readonly left: readonly OrphanLeft[] }>;
  progressOf(
    vmId: string,
  ): { readonly operationId: string; readonly phase: string; readonly percent: number | null } | null;
}

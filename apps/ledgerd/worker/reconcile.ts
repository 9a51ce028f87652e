import { type Asked, type Handled, StaleVersion } from '#event-store';
import type { Hypervisor } from '#hypervisor';
import { type OpenOperation, Refusal, type Vm, type VmEvent } from '#ledger';
import type { MachineLock } from './machine-lock.ts';
import { frozen, type Ledgers, streamOf } from '../ledger.ts';

/** How often a VM is looked at anew because somebody recorded something of it meanwhile. */
const ATTEMPTS_MAX = 3;

export interface Reconciling {
  readonly ledgers: Ledgers;
  readonly hypervisor: Hypervisor;
  readonly host: string;
  readonly lock: Pick<MachineLock, 'isFor'>;
  /** Is told which files the machine reads and does not write: for whoever claims them. */
  readonly reads: (below: readonly string[]) => void;
}

/**
 * Looks whether a VM is what the ledger believes, and records what is different now. Nothing may work on it meanwhile.
 *
 * @throws {Refusal} `vm-unknown`, `vm-busy`, and what keeps it from being looked at
 */
export async function reconcile(parts: Reconciling, vmId: string, asked: Asked): Promise<Handled<VmEvent>> {
  const { ledgers, hypervisor, reads } = parts;
  const stream = streamOf(vmId);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const { state, version } = await ledgers.vms.state(stream);
    requireOurs(state, parts);
    const { below, ...seen } = await hypervisor.survey(frozen(state));
    reads(below);
    try {
      const at = { ...asked, expectedVersion: asked.expectedVersion ?? version };
      return await ledgers.vms.handle(stream, { type: 'ReportDrift', ...seen }, at);
    } catch (error) {
      if (!(error instanceof StaleVersion) || asked.expectedVersion !== undefined) throw error;
    }
  }
  throw new Refusal('vm-busy', 'others change the VM faster than it can be looked at');
}

/** @throws {Refusal} when nobody here may touch the machine now */
export function requireOurs(
  { life, host, operation, monitor }: Readonly<Vm>,
  { host: ours, lock }: Pick<Reconciling, 'host' | 'lock'>,
): void {
  if (life !== 'registered') throw new Refusal('vm-unknown', 'there is no such VM');
  if (host !== ours) throw new Refusal('host-unreachable', `this worker looks at machines of host "${ours}"`);
  if (operation) throw busyWith(operation);
  if (!lock.isFor(monitor)) throw new Refusal('host-unreachable', 'the VM was changed meanwhile; ask again');
}

/** What the ledger would say, before anybody has looked. */
export const busyWith = ({ id: operationId, kind }: Pick<OpenOperation, 'id' | 'kind'>): Refusal =>
  new Refusal('vm-busy', `a ${kind} is under way on this VM`, { operationId });

import { type Asked, type Handled, StaleVersion } from '#event-store';
import type { OrphanLeft } from '#hypervisor';
import { orphansIn, Refusal, type VmEvent } from '#ledger';
import { frozen, streamOf } from '../ledger.ts';
import { repairPlan } from '../repair-plan.ts';
import { reconcile, type Reconciling, requireOurs } from './reconcile.ts';

/** What somebody has asked to have removed, having seen it. */
export interface AskedRepair {
  readonly asked: Asked;
  /** The hash of the plan that was shown. */
  readonly planHash: string;
}

export interface Repaired {
  readonly handled: Handled<VmEvent>;
  readonly left: readonly OrphanLeft[];
}

/**
 * Looks, removes the orphans that somebody has accepted to lose, and looks again. What is to go is in the log before the
 * first of them does; what a death on the way leaves, the next look finds.
 *
 * @throws {Refusal} `plan-changed` when the look finds others, and as `reconcile`
 */
export async function repair(
  parts: Reconciling,
  vmId: string,
  { asked, planHash }: AskedRepair,
): Promise<Repaired> {
  const { ledgers, hypervisor, host } = parts;
  const { key: _key, ...look } = asked;
  const { expectedVersion: _version, ...beside } = look;
  const stream = streamOf(vmId);
  const again = await ledgers.vms.answered(stream, asked);
  if (again) return { handled: again, left: [] };
  await reconcile(parts, vmId, look);
  const { state, version } = await ledgers.vms.state(stream);
  requireOurs(state, parts);
  if (repairPlan(state).hash !== planHash) throw changed();
  const orphans = orphansIn(state);
  const handled = await begun();
  const left = handled.replayed ? [] : await hypervisor.removeOrphans(frozen(state), orphans);
  await reconcile(parts, vmId, beside);
  return { handled, left };

  async function begun(): Promise<Handled<VmEvent>> {
    try {
      const at = { ...asked, expectedVersion: version };
      return await ledgers.vms.handle(stream, { type: 'StartRepair', worker: host, orphans }, at);
    } catch (error) {
      throw error instanceof StaleVersion ? changed() : error; // Somebody was faster than we.
    }
  }
}

const changed = (): Refusal =>
  new Refusal('plan-changed', 'what would be removed is not what that plan says: make a new one');

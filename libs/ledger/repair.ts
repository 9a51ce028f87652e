import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireNotHeld } from './require.ts';
import type { Orphan } from './shapes.ts';
import type { Vm } from './vm.ts';

/** What the last look found on the disks that no snapshot explains, and that bears our names. */
export const orphansIn = ({ drift }: Pick<Vm, 'drift'>): Orphan[] =>
  drift.flatMap(({ kind, device, file, tag }) => {
    if (kind !== 'orphan' || file === undefined) return [];
    return [{ file, ...(device !== undefined && { device }), ...(tag !== undefined && { tag }) }];
  });

/**
 * The journal and the fence of a repair: what is going to be removed stands in the log before anything is.
 *
 * @throws {Refusal} `vm-held`, `vm-busy`; `plan-changed` when something of it was not found by the last look
 */
export function startRepair({ worker, orphans }: CommandOf<'StartRepair'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  requireIdle(vm);
  const known = orphansIn(vm);
  const other = orphans.find(({ file, tag }) => !known.some((one) => one.file === file && one.tag === tag));
  if (other) throw new Refusal('plan-changed', `${other.tag ?? other.file} is not what the last look found`);
  return orphans.length === 0 ? [] : [{ type: 'RepairStarted', data: { worker, orphans: [...orphans] } }];
}

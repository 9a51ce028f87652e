import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireSnapshot } from './require.ts';
import type { Vm } from './vm.ts';

/** A held machine may be loaded: that is one of the ways out. */
export function loadSnapshot(command: CommandOf<'LoadSnapshot'>, vm: Vm): VmEvent[] {
  const { snapshotId, operationId, resume = 'as-captured', disksOnly = false } = command;
  const { status, name } = requireSnapshot(vm, snapshotId);
  requireIdle(vm);
  if (status !== 'complete')
    throw new Refusal('not-loadable', `snapshot "${name}" is ${status}; only a complete one can be loaded`);
  return [{ type: 'LoadRequested', data: { snapshotId, operationId, resume, disksOnly } }];
}

import { adoptSnapshots } from './adopt.ts';
import type { Command, CommandOf } from './commands.ts';
import { createSnapshot } from './create.ts';
import { deleteAllSnapshots, deleteSnapshot } from './delete.ts';
import { releasedDrift } from './drift.ts';
import type { VmEvent } from './events.ts';
import { patchSnapshot, unretireSnapshot } from './patch.ts';
import { Refusal } from './refusal.ts';
import {
  reportCreated,
  reportDeleted,
  reportDisks,
  reportDrift,
  reportFailed,
  reportLeftoverRemoved,
  reportLoaded,
  reportContentLoaded,
  reportPinned,
  startOperation,
} from './reports.ts';
import { loadSnapshot } from './load.ts';
import { startRepair } from './repair.ts';
import { requireText } from './names.ts';
import { requireIdle, requireNotHeld, requireRightChain } from './require.ts';
import { changeVm, registerVm } from './register.ts';
import type { Vm } from './vm.ts';

/**
 * What one command makes of one VM: the events to record, none when there is nothing to change.
 * The only place where events are made.
 *
 * @throws {Refusal} with a closed code; nothing has changed then
 */
export function decide(command: Command, vm: Vm): VmEvent[] {
  if (command.type === 'RegisterVm') return registerVm(command, vm);
  if (vm.life !== 'registered') throw new Refusal('vm-unknown', 'there is no such VM');
  switch (command.type) {
    case 'ChangeVm':
      return changeVm(command, vm);
    case 'ForgetVm':
      return forgetVm(vm);
    case 'CreateSnapshot':
      return createSnapshot(command, vm);
    case 'LoadSnapshot':
      return loadSnapshot(command, vm);
    case 'DeleteSnapshot':
      return deleteSnapshot(command, vm);
    case 'DeleteAllSnapshots':
      return deleteAllSnapshots(command, vm);
    case 'UnretireSnapshot':
      return unretireSnapshot(command, vm);
    case 'PatchSnapshot':
      return patchSnapshot(command, vm);
    case 'CancelOperation':
      return cancelOperation(command, vm);
    case 'ReleaseHold':
      return releaseHold(command, vm);
    case 'AdoptSnapshots':
      return adoptSnapshots(command, vm);
    case 'ReportDisks':
      return reportDisks(command, vm);
    case 'ReportDrift':
      return reportDrift(command, vm);
    case 'StartRepair':
      return startRepair(command, vm);
    case 'StartOperation':
      return startOperation(command, vm);
    case 'ReportCreated':
      return reportCreated(command, vm);
    case 'ReportPinned':
      return reportPinned(command, vm);
    case 'ReportContentLoaded':
      return reportContentLoaded(command, vm);
    case 'ReportLoaded':
      return reportLoaded(command, vm);
    case 'ReportDeleted':
      return reportDeleted(command, vm);
    case 'ReportFailed':
      return reportFailed(command, vm);
    case 'ReportLeftoverRemoved':
      return reportLeftoverRemoved(command, vm);
  }
}

function forgetVm(vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  requireIdle(vm);
  return [{ type: 'VmForgotten', data: {} }];
}

/** Before it has started nothing was touched; afterwards only what QEMU can stop may be canceled. */
function cancelOperation({ operationId }: CommandOf<'CancelOperation'>, vm: Vm): VmEvent[] {
  const { operation } = vm;
  if (operation?.id !== operationId) throw new Refusal('not-cancelable', 'the operation has ended');
  if (operation.started)
    throw new Refusal('not-cancelable', `a ${operation.kind} cannot be stopped once it has started`);
  const failed = {
    operationId,
    reason: 'canceled' as const,
    message: 'canceled before it started; nothing was touched',
    outcome: 'undone' as const,
    leftovers: [],
    steps: [],
    transcriptDigest: '',
  };
  return reportFailed({ type: 'ReportFailed', failed }, vm);
}

/**
 * Somebody has seen to what holds the VM, and says so. What a look has seen a moment ago no word can lift: a machine
 * that stands on a wrong chain still does. Where nobody can look the word is taken, for each operation looks itself.
 */
function releaseHold({ note, isSeen }: CommandOf<'ReleaseHold'>, vm: Vm): VmEvent[] {
  requireText('note', note);
  if (isSeen) requireRightChain(vm);
  const lifted = releasedDrift(vm);
  if (!vm.hold && lifted.length === 0) return [];
  return [{ type: 'HoldReleased', data: { note } }, ...lifted];
}

import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { Refusal } from './refusal.ts';
import type { OpenOperation, Vm } from './vm.ts';

/** Records what a look found only when it differs from what is known. */
export function reportDisks({ disks, foreignTags }: CommandOf<'ReportDisks'>, vm: Vm): VmEvent[] {
  const isSame = JSON.stringify([disks, foreignTags]) === JSON.stringify([vm.disks, vm.foreignTags]);
  return isSame ? [] : [{ type: 'DisksChanged', data: { disks: [...disks], foreignTags: [...foreignTags] } }];
}

/**
 * The fence and the journal in one: whoever cannot append this never touches QEMU.
 *
 * @throws {Refusal} `not-cancelable` when the operation is not open any more or somebody else has started it
 */
export function startOperation({ start }: CommandOf<'StartOperation'>, vm: Vm): VmEvent[] {
  if (vm.operation?.id !== start.operationId) throw new Refusal('not-cancelable', 'the operation has ended');
  if (vm.operation.started)
    throw new Refusal('not-cancelable', `worker ${vm.operation.started.worker} has started it`);
  return [{ type: 'OperationStarted', data: start }];
}

export function reportCreated({ created }: CommandOf<'ReportCreated'>, vm: Vm): VmEvent[] {
  const operation = openOperation(created.operationId, vm);
  if (operation?.kind !== 'create') return [];
  return [{ type: 'SnapshotCreated', data: { snapshotId: operation.snapshotId, ...created } }];
}

export function reportLoaded({ loaded }: CommandOf<'ReportLoaded'>, vm: Vm): VmEvent[] {
  const operation = openOperation(loaded.operationId, vm);
  if (operation?.kind !== 'load') return [];
  return [{ type: 'SnapshotLoaded', data: { snapshotId: operation.snapshotId, ...loaded } }];
}

/** Each snapshot that goes along has its own event, before the one that ends the operation. */
export function reportDeleted({ deleted }: CommandOf<'ReportDeleted'>, vm: Vm): VmEvent[] {
  const operation = openOperation(deleted.operationId, vm);
  if (operation?.kind !== 'delete') return [];
  const { id: operationId, snapshotId } = operation;
  const along = operation.targets.filter((target) => target !== snapshotId);
  return [
    ...along.map((target): VmEvent => ({
      type: 'SnapshotDiscarded',
      data: { snapshotId: target, operationId },
    })),
    { type: 'SnapshotDeleted', data: { snapshotId, ...deleted } },
  ];
}

export function reportFailed({ failed }: CommandOf<'ReportFailed'>, vm: Vm): VmEvent[] {
  const operation = openOperation(failed.operationId, vm);
  if (!operation) return [];
  const data = { ...failed, leftovers: [...failed.leftovers], steps: [...failed.steps] };
  switch (operation.kind) {
    case 'create':
      return [{ type: 'CreateFailed', data: { snapshotId: operation.snapshotId, ...data } }];
    case 'load':
      return [{ type: 'LoadFailed', data: { snapshotId: operation.snapshotId, ...data } }];
    case 'delete':
      return [{ type: 'DeleteFailed', data: { snapshotId: operation.snapshotId, ...data } }];
  }
}

export function reportLeftoverRemoved({ leftover }: CommandOf<'ReportLeftoverRemoved'>, vm: Vm): VmEvent[] {
  const { device, file, tag } = leftover;
  const isKnown = vm.hold?.leftovers.some(
    (left) => left.device === device && left.file === file && left.tag === tag,
  );
  return isKnown ? [{ type: 'LeftoverRemoved', data: leftover }] : [];
}

/** Null when it has ended: a second report of the same outcome changes nothing. */
const openOperation = (id: string, vm: Vm): OpenOperation | null =>
  vm.operation?.id === id ? vm.operation : null;

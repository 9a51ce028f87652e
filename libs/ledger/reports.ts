import type { CommandOf } from './commands.ts';
import type { DataOf, VmEvent } from './events.ts';
import {
  driftAfterCreate,
  driftAfterDelete,
  driftAfterFailure,
  driftAfterLoad,
  driftFound,
  knownDrift,
  isSameDrift,
} from './drift.ts';
import { isSameLeftover } from './hold.ts';
import { madeUpName } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireIdle } from './require.ts';
import { Disk } from './shapes.ts';
import { snapshotOfTag, tagOf, type OpenOperation, type SnapshotDisk, type Vm } from './vm.ts';

/**
 * Records what a look found only when it differs from what is known. While somebody moves a machine from layer to layer
 * a look finds files that the ledger does not know yet: a late one would make them the machine's own.
 */
export function reportDisks({ disks, foreignTags }: CommandOf<'ReportDisks'>, vm: Vm): VmEvent[] {
  if (vm.operation?.started || textOf({ disks, foreignTags }) === textOf(vm)) return [];
  return [{ type: 'DisksChanged', data: { disks: [...disks], foreignTags: [...foreignTags] } }];
}

/** Named in one order, because the log gives them back in another one than a look does. */
const MEMBERS = [...Object.keys(Disk.shape), 'tag'];

const textOf = ({ disks, foreignTags }: Pick<Vm, 'disks' | 'foreignTags'>): string =>
  JSON.stringify([disks, foreignTags], MEMBERS);

/**
 * Records a look at the whole machine, as far as it differs from the last one. Only while nothing is under way: what
 * an operation is just making looks like drift.
 *
 * @throws {Refusal} `vm-busy`
 */
export function reportDrift(command: CommandOf<'ReportDrift'>, vm: Vm): VmEvent[] {
  requireIdle(vm);
  const { disks, foreignTags, findings, stopped } = command;
  const found = driftFound(findings, vm, stopped);
  const isNews = stopped || found.data.standings.length > 0 || !isSameDrift(found.data, knownDrift(vm));
  return [...reportDisks({ type: 'ReportDisks', disks, foreignTags }, vm), ...(isNews ? [found] : [])];
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

/**
 * A snapshot that some disk does not show is never called complete.
 *
 * @throws {Refusal} `snapshot-damaged` naming the devices; the operation stays open until somebody looks again
 */
export function reportCreated({ created }: CommandOf<'ReportCreated'>, vm: Vm): VmEvent[] {
  const operation = openOperation(created.operationId, vm);
  if (operation?.kind !== 'create') return [];
  requireEveryDisk(operation.snapshotId, created, vm.snapshots.get(operation.snapshotId)?.disks ?? []);
  const data = { snapshotId: operation.snapshotId, ...created };
  return [{ type: 'SnapshotCreated', data }, ...driftAfterCreate(vm)];
}

type Captured = Pick<DataOf<'SnapshotCreated'>, 'evidence' | 'layers'>;

function requireEveryDisk(id: string, { evidence, layers }: Captured, disks: readonly SnapshotDisk[]): void {
  const isCaptured = ({ device, mode }: SnapshotDisk): boolean => {
    switch (mode) {
      case 'none':
        return true;
      case 'internal':
        return evidence.some((trace) => trace.device === device && trace.tag === tagOf(id));
      case 'external':
        return (
          layers?.contents.some((content) => content.device === device && content.snapshotId === id) ?? false
        );
    }
  };
  const devices = disks.filter((disk) => !isCaptured(disk)).map(({ device }) => device);
  if (devices.length === 0) return;
  throw new Refusal('snapshot-damaged', `snapshot ${id} is not on every disk: ${devices.join(', ')}`, {
    devices,
  });
}

/**
 * A pin's parent is what was current, as with every other snapshot. Throws as `reportCreated` does.
 */
export function reportPinned({ pinned }: CommandOf<'ReportPinned'>, vm: Vm): VmEvent[] {
  const operation = openOperation(pinned.operationId, vm);
  if (operation?.kind !== 'load' || operation.isPinned) return [];
  const { pin } = operation.request;
  if (!pin) return [];
  const { snapshotId } = pin;
  requireEveryDisk(snapshotId, pinned, pinned.disks);
  const name = madeUpName(snapshotId);
  return [{ type: 'SnapshotPinned', data: { ...pinned, snapshotId, name, parentId: vm.current.id } }];
}

/** Once for each load: whoever comes later only lets the machine go on. */
export function reportContentLoaded({ content }: CommandOf<'ReportContentLoaded'>, vm: Vm): VmEvent[] {
  const operation = openOperation(content.operationId, vm);
  if (operation?.kind !== 'load' || operation.isLoaded) return [];
  return [{ type: 'ContentLoaded', data: { snapshotId: operation.snapshotId, ...content } }];
}

/** Of pins only the newest is kept, and the one that is loaded: the present descends from it. */
export function reportLoaded(
  { loaded, replaced = [], orphans = [] }: CommandOf<'ReportLoaded'>,
  vm: Vm,
): VmEvent[] {
  const operation = openOperation(loaded.operationId, vm);
  if (operation?.kind !== 'load') return [];
  const { id: operationId, snapshotId } = operation;
  const pins = pinsAmong(replaced, snapshotId, vm);
  return [
    ...pins.map((pin) => discarded(pin, operationId)),
    { type: 'SnapshotLoaded', data: { snapshotId, ...loaded } },
    ...driftAfterLoad(vm, pins, orphans),
  ];
}

const pinsAmong = (replaced: readonly string[], loadedId: string, { snapshots }: Vm): string[] =>
  replaced.filter((id) => id !== loadedId && snapshots.get(id)?.implicit);

const discarded = (snapshotId: string, operationId: string): VmEvent => ({
  type: 'SnapshotDiscarded',
  data: { snapshotId, operationId },
});

/** Each snapshot that goes along has its own event, before the one that ends the operation. */
export function reportDeleted({ deleted }: CommandOf<'ReportDeleted'>, vm: Vm): VmEvent[] {
  const operation = openOperation(deleted.operationId, vm);
  if (operation?.kind !== 'delete') return [];
  const { id: operationId, snapshotId } = operation;
  const along = operation.targets.filter((target) => target !== snapshotId);
  return [
    ...along.map((target) => discarded(target, operationId)),
    { type: 'SnapshotDeleted', data: { snapshotId, ...deleted } },
    ...driftAfterDelete(vm, operation.targets),
  ];
}

/**
 * Something that is left holds the VM, whatever the report calls it. What a load had begun to clear away before it failed
 * is gone all the same.
 */
export function reportFailed(
  { failed, replaced = [], ...found }: CommandOf<'ReportFailed'>,
  vm: Vm,
): VmEvent[] {
  const operation = openOperation(failed.operationId, vm);
  if (!operation) return [];
  if (operation.started && failed.reason === 'expired') return []; // Only evidence ends what has begun.
  const outcome = failed.leftovers.length === 0 ? failed.outcome : 'held';
  const data = { ...failed, outcome, leftovers: [...failed.leftovers], steps: [...failed.steps] };
  switch (operation.kind) {
    case 'create':
      return [
        { type: 'CreateFailed', data: { snapshotId: operation.snapshotId, ...data } },
        ...driftAfterFailure(vm, [], found),
      ];
    case 'load': {
      const pins = pinsAmong(replaced, operation.snapshotId, vm);
      return [
        ...pins.map((pin) => discarded(pin, operation.id)),
        { type: 'LoadFailed', data: { snapshotId: operation.snapshotId, ...data } },
        ...driftAfterFailure(vm, pins, found),
      ];
    }
    case 'delete':
      return [
        { type: 'DeleteFailed', data: { snapshotId: operation.snapshotId, ...data } },
        ...driftAfterFailure(withTargetsAsBefore(vm, operation), [], found),
      ];
  }
}

/** As a delete leaves them that nothing came of: what stays can be judged. */
function withTargetsAsBefore(vm: Vm, { before }: Extract<OpenOperation, { kind: 'delete' }>): Vm {
  const snapshots = new Map(vm.snapshots);
  for (const [id, status] of before) {
    const snapshot = snapshots.get(id);
    if (snapshot) snapshots.set(id, { ...snapshot, status });
  }
  return { ...vm, snapshots };
}

export function reportLeftoverRemoved({ leftover }: CommandOf<'ReportLeftoverRemoved'>, vm: Vm): VmEvent[] {
  if (!vm.hold?.leftovers.some((left) => isSameLeftover(left, leftover))) return [];
  const snapshotId = leftover.snapshotId ?? snapshotOfTag(leftover.tag);
  return [{ type: 'LeftoverRemoved', data: { ...leftover, snapshotId } }];
}

/** Null when it has ended: a second report of the same outcome changes nothing. */
const openOperation = (id: string, vm: Vm): OpenOperation | null =>
  vm.operation?.id === id ? vm.operation : null;

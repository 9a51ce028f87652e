import type { DataOf, VmEvent } from './events.ts';
import { heldAfterLoad, heldAfterRemoval, heldBy } from './hold.ts';
import { childrenOf, type OpenOperation, type Snapshot, type SnapshotStatus, type Vm } from './vm.ts';

/**
 * The VM after one more event. Owns and changes the state it is given.
 * Believes every event: checks belong in `decide`. There is no `default`: a forgotten event does not compile.
 */
export function evolve(vm: Vm, event: VmEvent & { readonly id: string }): Vm {
  switch (event.type) {
    case 'VmRegistered':
      return registered(vm, event.data);
    case 'VmChanged':
      return changed(vm, event.data);
    case 'DisksChanged':
      return Object.assign(vm, { disks: event.data.disks, foreignTags: event.data.foreignTags });
    case 'VmForgotten':
      return Object.assign(vm, { life: 'forgotten' });
    case 'SnapshotRequested':
      return requested(vm, event.data, event.id);
    case 'LoadRequested':
    case 'DeleteRequested':
      return opened(vm, event);
    case 'OperationStarted':
      if (vm.operation) vm.operation.started = event.data;
      return vm;
    case 'SnapshotCreated':
    case 'SnapshotLoaded':
    case 'SnapshotDeleted':
      return succeeded(vm, event);
    case 'CreateFailed':
    case 'LoadFailed':
    case 'DeleteFailed':
      return failed(vm, event);
    case 'SnapshotDiscarded':
      return gone(vm, event.data.snapshotId);
    case 'SnapshotRenamed':
      return patched(vm, event.data.snapshotId, { name: event.data.name });
    case 'SnapshotDescribed':
      return patched(vm, event.data.snapshotId, { description: event.data.description });
    case 'SnapshotLabelled':
      return patched(vm, event.data.snapshotId, { labels: event.data.labels });
    case 'SnapshotProtected':
      return patched(vm, event.data.snapshotId, { isProtected: true });
    case 'SnapshotUnprotected':
      return patched(vm, event.data.snapshotId, { isProtected: false });
    case 'SnapshotRetired':
      return patched(vm, event.data.snapshotId, { status: 'retired' });
    case 'SnapshotUnretired':
      return patched(vm, event.data.snapshotId, { status: 'complete' });
    case 'LeftoverRemoved':
      return Object.assign(vm, { hold: heldAfterRemoval(vm.hold, event.data) });
    case 'HoldReleased':
      return Object.assign(vm, { hold: null });
  }
}

function registered(vm: Vm, data: DataOf<'VmRegistered'>): Vm {
  const { vmId, ...known } = data;
  const confidence = data.foreignTags.length === 0 ? 'known' : 'assumed';
  return Object.assign(vm, known, { id: vmId, life: 'registered', current: { id: null, confidence } });
}

function changed(vm: Vm, { defaults, ...fields }: DataOf<'VmChanged'>): Vm {
  if (defaults) {
    const modes = new Map(Object.entries(defaults));
    vm.disks = vm.disks.map((disk) => ({ ...disk, default: modes.get(disk.device) ?? disk.default }));
  }
  return Object.assign(vm, fields);
}

function requested(vm: Vm, data: DataOf<'SnapshotRequested'>, requestId: string): Vm {
  vm.usedIds.add(data.snapshotId);
  vm.snapshots.set(data.snapshotId, {
    id: data.snapshotId,
    name: data.name,
    description: data.description,
    labels: data.labels,
    parentId: data.parentId,
    status: 'pending',
    isProtected: false,
    vmState: null,
    memory: data.memory ?? 'none',
    disks: data.disks,
    evidence: [],
  });
  const { operationId: id, snapshotId, memory, diskOnly } = data;
  vm.operation = { id, kind: 'create', requestId, snapshotId, memory, diskOnly, started: null };
  return vm;
}

type Opening = Extract<VmEvent, { type: 'LoadRequested' | 'DeleteRequested' }> & { readonly id: string };

function opened(vm: Vm, event: Opening): Vm {
  const { operationId: id } = event.data;
  if (event.type === 'LoadRequested') {
    const { snapshotId, resume, disksOnly } = event.data;
    vm.operation = { id, kind: 'load', requestId: event.id, snapshotId, resume, disksOnly, started: null };
    return vm;
  }
  const { snapshotId, strategy, targets } = event.data;
  const before = new Map<string, SnapshotStatus>();
  for (const target of targets) {
    before.set(target, vm.snapshots.get(target)?.status ?? 'complete');
    patched(vm, target, { status: 'deleting' });
  }
  vm.operation = {
    id,
    kind: 'delete',
    requestId: event.id,
    snapshotId,
    strategy,
    targets,
    before,
    started: null,
  };
  return vm;
}

type Success = Extract<VmEvent, { type: 'SnapshotCreated' | 'SnapshotLoaded' | 'SnapshotDeleted' }>;

function succeeded(vm: Vm, event: Success): Vm {
  const { snapshotId } = event.data;
  vm.operation = null;
  if (event.type === 'SnapshotDeleted') return snapshotId === null ? vm : gone(vm, snapshotId);
  if (event.type === 'SnapshotCreated') {
    taken(vm, event.data);
  }
  vm.current = { id: snapshotId, confidence: 'known' };
  if (event.type === 'SnapshotLoaded') vm.hold = heldAfterLoad(vm.hold);
  return vm;
}

function taken(vm: Vm, { snapshotId, vmState, memory, evidence }: DataOf<'SnapshotCreated'>): void {
  const asked = vm.snapshots.get(snapshotId)?.disks ?? [];
  // A disk that was plugged in since the request is captured too, and the snapshot names every disk that shows it.
  const added = evidence.filter(({ device }) => !asked.some((disk) => disk.device === device));
  const disks = [...asked, ...added.map(({ device }) => ({ device, mode: 'internal' as const }))];
  patched(vm, snapshotId, { status: 'complete', vmState, memory: memory.mode, disks, evidence });
}

type Failure = Extract<VmEvent, { type: 'CreateFailed' | 'LoadFailed' | 'DeleteFailed' }>;

function failed(vm: Vm, event: Failure): Vm {
  const { outcome, snapshotId } = event.data;
  const isLoad = event.type === 'LoadFailed';
  const { operation } = vm;
  vm.operation = null;
  if (event.type === 'CreateFailed') vm.snapshots.delete(event.data.snapshotId);
  if (operation?.kind === 'delete') afterFailedDelete(vm, operation, outcome === 'held');
  if (outcome === 'undone') return vm;
  if (isLoad) vm.current = { id: snapshotId, confidence: 'unknown' };
  vm.hold = heldBy(event.data, isLoad, vm.hold);
  return vm;
}

/** Undone: each is what it was. Held: some disks have lost it and some have not, so none can be trusted. */
function afterFailedDelete(
  vm: Vm,
  operation: Extract<OpenOperation, { kind: 'delete' }>,
  isHeld: boolean,
): void {
  for (const [id, status] of operation.before) patched(vm, id, { status: isHeld ? 'suspect' : status });
}

/** Children of what is gone descend from its parent, and so does the present. */
function gone(vm: Vm, id: string): Vm {
  const snapshot = vm.snapshots.get(id);
  if (!snapshot) return vm;
  for (const child of childrenOf(vm, id)) child.parentId = snapshot.parentId;
  if (vm.current.id === id) vm.current = { ...vm.current, id: snapshot.parentId };
  vm.snapshots.delete(id);
  return vm;
}

function patched(vm: Vm, id: string, patch: Partial<Snapshot>): Vm {
  const snapshot = vm.snapshots.get(id);
  if (snapshot) Object.assign(snapshot, patch);
  return vm;
}

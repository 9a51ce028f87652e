import type { DataOf, VmEvent } from './events.ts';
import { relayered, rewired } from './evolve-layers.ts';
import { heldAfterLoad, heldAfterRemoval, heldBy } from './hold.ts';
import type { DiskCapture, DiskEvidence } from './shapes.ts';
import {
  childrenOf,
  type OpenOperation,
  type PartialBackup,
  type Snapshot,
  type SnapshotDisk,
  type SnapshotStatus,
  tagOf,
  type Vm,
} from './vm.ts';

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
      return rewired(vm, event.data);
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
    case 'SnapshotPinned':
      return pinned(vm, event.data);
    case 'ContentLoaded':
      if (vm.operation?.kind === 'load') vm.operation.isLoaded = true;
      return relayered(vm, event.data.layers);
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
    case 'DriftFound':
      return drifted(vm, event.data);
    case 'RepairStarted':
      return vm; // Nothing that is believed here is touched by it.
    case 'SnapshotAdopted':
      return adopted(vm, event.data);
  }
}

function registered(vm: Vm, data: DataOf<'VmRegistered'>): Vm {
  const { vmId, ...known } = data;
  const confidence = data.foreignTags.length === 0 ? 'known' : 'assumed';
  Object.assign(vm, known, { id: vmId, life: 'registered', current: { id: null, confidence } });
  return rewired(vm, data);
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
    memory: { mode: data.memory ?? 'none' },
    implicit: false,
    disks: data.disks.map(wished),
    evidence: [],
  });
  const { operationId: id, snapshotId } = data;
  vm.operation = { id, kind: 'create', requestId, snapshotId, request: data, started: null };
  return vm;
}

/** Until it is captured no file holds any of it. */
const wished = ({ device, mode }: DiskCapture): SnapshotDisk => ({ device, mode });

function pinned(vm: Vm, data: DataOf<'SnapshotPinned'>): Vm {
  const { snapshotId: id, name, parentId, vmState, memory, evidence, layers } = data;
  vm.usedIds.add(id);
  const disks = withFiles(data.disks, evidence);
  const own = { id, name, description: '', labels: {}, parentId, isProtected: false, implicit: true };
  vm.snapshots.set(id, { ...own, status: 'complete', vmState, memory, disks, evidence });
  if (vm.operation?.kind === 'load') vm.operation.isPinned = true;
  return relayered(vm, layers);
}

/** One that is whole again stands where it stood before. */
function drifted(vm: Vm, { findings, standings, unlisted = 0 }: DataOf<'DriftFound'>): Vm {
  for (const { snapshotId, status, spoiled } of standings) {
    const snapshot = vm.snapshots.get(snapshotId);
    if (!snapshot) continue;
    const before = snapshot.whole ?? snapshot.status;
    delete snapshot.whole;
    delete snapshot.spoiled;
    if (spoiled) snapshot.spoiled = spoiled;
    if (status !== before && before !== 'pending' && before !== 'deleting') snapshot.whole = before;
    snapshot.status = status;
  }
  return Object.assign(vm, { drift: findings, unlistedDrift: unlisted });
}

/** What was there before we came may be what the machine stands on, when it stands on nothing that we know. */
function adopted(vm: Vm, data: DataOf<'SnapshotAdopted'>): Vm {
  const { snapshotId: id, name, tag, parentId, vmState, memory, evidence } = data;
  vm.usedIds.add(id);
  const said = { id, name, description: '', labels: {}, parentId, isProtected: false, implicit: false };
  const native = tag === tagOf(id) ? {} : { nativeTag: tag };
  const kept = { vmState, memory, disks: withFiles(data.disks, evidence), evidence };
  vm.snapshots.set(id, { ...said, status: 'complete', ...kept, ...native });
  vm.foreignTags = vm.foreignTags.filter((foreign) => foreign.tag !== tag);
  if (vm.current.id === null) vm.current = { id: null, confidence: 'assumed' };
  return vm;
}

const withFiles = (disks: readonly DiskCapture[], evidence: readonly DiskEvidence[]): SnapshotDisk[] =>
  disks.map(({ device, mode }) => {
    const file = evidence.find((trace) => trace.device === device)?.file;
    return { device, mode, ...(file !== undefined && { file }) };
  });

type Opening = Extract<VmEvent, { type: 'LoadRequested' | 'DeleteRequested' }> & { readonly id: string };

function opened(vm: Vm, event: Opening): Vm {
  const { operationId: id } = event.data;
  if (event.type === 'LoadRequested') {
    const { snapshotId } = event.data;
    vm.loadIds.add(id);
    const asked = { id, requestId: event.id, snapshotId, request: event.data };
    vm.operation = { ...asked, kind: 'load', isPinned: false, isLoaded: false, started: null };
    return vm;
  }
  const { snapshotId, strategy, targets, plan } = event.data;
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
    ...(plan && { plan }),
    before,
    started: null,
  };
  return vm;
}

type Success = Extract<VmEvent, { type: 'SnapshotCreated' | 'SnapshotLoaded' | 'SnapshotDeleted' }>;

function succeeded(vm: Vm, event: Success): Vm {
  const { snapshotId } = event.data;
  if (event.type === 'SnapshotCreated') {
    vm.backups = withBackups(vm, event.data);
    taken(vm, event.data);
  }
  vm.operation = null;
  relayered(vm, event.data.layers);
  if (event.type === 'SnapshotDeleted') return snapshotId === null ? vm : gone(vm, snapshotId);
  vm.current = { id: snapshotId, confidence: 'known' };
  if (event.type === 'SnapshotLoaded') vm.hold = heldAfterLoad(vm.hold);
  return vm;
}

/** What a copy stands on was planned when it began. One that is made anew in the same file takes its place. */
function withBackups(
  { backups, operation }: Vm,
  { backups: made = [] }: DataOf<'SnapshotCreated'>,
): readonly PartialBackup[] {
  const planned = operation?.started?.backups ?? [];
  const partial = made.flatMap(({ device, target }) => {
    const backing = planned.find((plan) => plan.target === target)?.backing;
    return backing ? [{ device, target, backing: backing.file }] : [];
  });
  return [...backups.filter(({ target }) => !made.some((one) => one.target === target)), ...partial];
}

function taken(vm: Vm, { snapshotId, vmState, memory, evidence }: DataOf<'SnapshotCreated'>): void {
  const asked = vm.snapshots.get(snapshotId)?.disks ?? [];
  // A disk that was plugged in since the request is captured too, and the snapshot names every disk that shows it.
  const added = evidence.filter(({ device }) => !asked.some((disk) => disk.device === device));
  const disks = [...asked, ...added.map(({ device }) => ({ device, mode: 'internal' as const }))];
  const files = withFiles(disks, evidence);
  patched(vm, snapshotId, { status: 'complete', vmState, memory, disks: files, evidence });
}

type Failure = Extract<VmEvent, { type: 'CreateFailed' | 'LoadFailed' | 'DeleteFailed' }>;

function failed(vm: Vm, event: Failure): Vm {
  const { outcome, snapshotId } = event.data;
  const isLoad = event.type === 'LoadFailed';
  const { operation } = vm;
  vm.operation = null;
  if (event.type === 'CreateFailed') vm.snapshots.delete(event.data.snapshotId);
  if (operation?.kind === 'delete') afterFailedDelete(vm, operation, outcome === 'held');
  relayered(vm, event.data.layers);
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
  for (const [id, status] of operation.before) {
    patched(vm, id, { status: isHeld ? 'suspect' : status });
    if (isHeld) delete vm.snapshots.get(id)?.whole; // No look can call it whole: it does not know what is gone.
  }
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

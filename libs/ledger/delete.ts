import type { CommandOf } from './commands.ts';
import type { DataOf, VmEvent } from './events.ts';
import { planLayers, stoodOn } from './layers.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireLeftAlone, requireNotHeld, requireSnapshot } from './require.ts';
import { childrenOf, subtreeOf, type Snapshot, type Vm } from './vm.ts';

export function deleteSnapshot(
  { snapshotId, operationId, strategy = 'retire', plan }: CommandOf<'DeleteSnapshot'>,
  vm: Vm,
): VmEvent[] {
  requireNotHeld(vm);
  const snapshot = requireSnapshot(vm, snapshotId);
  if (strategy === 'retire') return retireSnapshot(snapshot, vm);
  requireIdle(vm);
  requireUnprotected(snapshot);
  const targets = targetsOf(snapshot, strategy, vm);
  for (const id of targets) requireUnprotected(requireSnapshot(vm, id));
  return [deletion({ snapshotId, operationId, strategy, targets, ...(plan && { plan }) })];
}

type Removal = Exclude<NonNullable<CommandOf<'DeleteSnapshot'>['strategy']>, 'retire'>;

/** Whose data goes, leaf first; the one asked for is the last. */
function targetsOf(snapshot: Snapshot, strategy: Removal, vm: Vm): string[] {
  const { id } = snapshot;
  switch (strategy) {
    case 'merge':
      requireLossless(snapshot, vm);
      return [...losersBy(snapshot, vm).map((pin) => pin.id), id]; // Nobody can be asked about what is hidden.
    case 'merge-force':
      return [...losersBy(snapshot, vm).map((loser) => loser.id), id];
    case 'discard': // Its pins go along.
    case 'discard-force': {
      if (strategy === 'discard') requireChildless(snapshot, vm);
      const targets = subtreeOf(vm, id);
      requireNotStoodOn(
        targets.map((target) => requireSnapshot(vm, target)),
        vm,
      );
      return targets;
    }
  }
}

/**
 * Snapshots inside the layers that are to take up what this one holds. They read what they lack through it, and
 * nothing copies that for them: whoever folds them away later loses others in turn, so it is asked until it is quiet.
 */
function losersBy(snapshot: Snapshot, vm: Vm): Snapshot[] {
  const gone = new Set([snapshot]);
  for (;;) {
    const before = gone.size;
    const remaining = [...vm.snapshots.values()].filter((other) => !gone.has(other));
    for (const loser of planLayers(vm, remaining, layersOf([...gone])).wouldLose) gone.add(loser);
    if (gone.size === before) return [...gone].filter((other) => other !== snapshot).toReversed();
  }
}

/** The layers that external snapshots have frozen. */
export const layersOf = (snapshots: readonly Snapshot[]): Set<string> =>
  new Set(
    snapshots.flatMap(({ disks }) =>
      disks.flatMap(({ mode, file }) => (mode === 'external' && file !== undefined ? [file] : [])),
    ),
  );

function requireLossless(snapshot: Snapshot, vm: Vm): void {
  const losers = losersBy(snapshot, vm).filter(({ implicit }) => !implicit);
  if (losers.length === 0) return;
  const names = losers.map(({ name }) => `"${name}"`).join(', ');
  throw new Refusal(
    'would-discard',
    `merging "${snapshot.name}" would take what ${names} reads through it: delete those first, or merge-force`,
    { snapshots: losers.map(({ id }) => id) },
  );
}

/** What the machine writes on cannot be thrown away under it. */
function requireNotStoodOn(snapshots: readonly Snapshot[], vm: Vm): void {
  const stood = stoodOn(vm);
  const used = snapshots.filter((snapshot) => [...layersOf([snapshot])].some((file) => stood.has(file)));
  const [first] = used;
  if (!first) return;
  throw new Refusal('in-use', `the machine stands on "${first.name}": merge it, or load another one first`, {
    snapshots: used.map(({ id }) => id),
  });
}

/** Needs no machine: done at once, whatever goes on around it. */
function retireSnapshot(snapshot: Snapshot, vm: Vm): VmEvent[] {
  const { id: snapshotId, name, status } = snapshot;
  requireLeftAlone(vm, snapshot);
  requireUnprotected(snapshot);
  if (status === 'retired') return [];
  if (status !== 'complete') throw new Refusal('not-complete', `snapshot "${name}" is ${status}`);
  return [{ type: 'SnapshotRetired', data: { snapshotId } }];
}

/** Newest first, so that whoever is gone had no children left. Nothing to delete is not an error. */
export function deleteAllSnapshots(
  { operationId, plan }: CommandOf<'DeleteAllSnapshots'>,
  vm: Vm,
): VmEvent[] {
  requireNotHeld(vm);
  requireIdle(vm);
  const all = [...vm.snapshots.values()];
  for (const snapshot of all) requireUnprotected(snapshot);
  if (all.length === 0) return [];
  const roots = all.filter(({ parentId }) => parentId === null);
  const targets = roots.flatMap(({ id }) => subtreeOf(vm, id));
  const strategy = 'discard-force';
  return [deletion({ snapshotId: null, operationId, strategy, targets, ...(plan && { plan }) })];
}

const deletion = (data: DataOf<'DeleteRequested'>): VmEvent => ({ type: 'DeleteRequested', data });

function requireUnprotected({ id, name, isProtected }: Snapshot): void {
  if (isProtected) throw new Refusal('protected', `snapshot "${name}" is protected`, { snapshotId: id });
}

function requireChildless({ id, name }: Snapshot, vm: Vm): void {
  const children = nearestOf(id, vm);
  if (children.length === 0) return;
  const names = children.map((child) => `"${child.name}"`).join(', ');
  throw new Refusal('has-children', `"${name}" has children: ${names}; merge it, or discard-force them all`, {
    children: children.map((child) => child.id),
  });
}

/** Pins are nobody's children: those of a pin are its parent's. */
const nearestOf = (id: string, vm: Vm): Snapshot[] =>
  childrenOf(vm, id).flatMap((child) => (child.implicit ? nearestOf(child.id, vm) : [child]));

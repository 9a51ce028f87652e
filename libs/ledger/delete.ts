import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireLeftAlone, requireNotHeld, requireSnapshot } from './require.ts';
import { childrenOf, subtreeOf, type Snapshot, type Vm } from './vm.ts';

export function deleteSnapshot(
  { snapshotId, operationId, strategy = 'retire' }: CommandOf<'DeleteSnapshot'>,
  vm: Vm,
): VmEvent[] {
  requireNotHeld(vm);
  const snapshot = requireSnapshot(vm, snapshotId);
  if (strategy === 'retire') return retireSnapshot(snapshot, vm);
  requireIdle(vm);
  requireUnprotected(snapshot);
  switch (strategy) {
    // An internal snapshot never holds what another one needs: its deletion folds nothing and discards nobody.
    case 'merge':
    case 'merge-force':
      return [deletion(snapshotId, operationId, strategy, [snapshotId])];
    case 'discard':
      requireChildless(snapshot, vm);
      return [deletion(snapshotId, operationId, strategy, [snapshotId])];
    case 'discard-force': {
      const targets = subtreeOf(vm, snapshotId);
      for (const id of targets) requireUnprotected(requireSnapshot(vm, id));
      return [deletion(snapshotId, operationId, strategy, targets)];
    }
  }
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
export function deleteAllSnapshots({ operationId }: CommandOf<'DeleteAllSnapshots'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  requireIdle(vm);
  const all = [...vm.snapshots.values()];
  for (const snapshot of all) requireUnprotected(snapshot);
  if (all.length === 0) return [];
  const roots = all.filter(({ parentId }) => parentId === null);
  const targets = roots.flatMap(({ id }) => subtreeOf(vm, id));
  return [deletion(null, operationId, 'discard-force', targets)];
}

const deletion = (
  snapshotId: string | null,
  operationId: string,
  strategy: NonNullable<CommandOf<'DeleteSnapshot'>['strategy']>,
  targets: string[],
): VmEvent => ({ type: 'DeleteRequested', data: { snapshotId, operationId, strategy, targets } });

function requireUnprotected({ id, name, isProtected }: Snapshot): void {
  if (isProtected) throw new Refusal('protected', `snapshot "${name}" is protected`, { snapshotId: id });
}

function requireChildless({ id, name }: Snapshot, vm: Vm): void {
  const children = childrenOf(vm, id);
  if (children.length === 0) return;
  const names = children.map((child) => `"${child.name}"`).join(', ');
  throw new Refusal('has-children', `"${name}" has children: ${names}; merge it, or discard-force them all`, {
    children: children.map((child) => child.id),
  });
}

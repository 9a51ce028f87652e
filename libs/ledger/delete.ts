import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireNotHeld, requireSnapshot } from './require.ts';
import { childrenOf, subtreeOf, type Snapshot, type Vm } from './vm.ts';

export function deleteSnapshot(
  { snapshotId, operationId, strategy = 'retire' }: CommandOf<'DeleteSnapshot'>,
  vm: Vm,
): VmEvent[] {
  requireNotHeld(vm);
  const snapshot = requireSnapshot(vm, snapshotId);
  requireIdle(vm);
  requireUnprotected(snapshot);
  switch (strategy) {
    case 'retire':
      if (snapshot.status === 'retired') return [];
      if (snapshot.status !== 'complete')
        throw new Refusal('not-complete', `snapshot "${snapshot.name}" is ${snapshot.status}`);
      return [{ type: 'SnapshotRetired', data: { snapshotId } }];
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

/** Newest first, so that whoever is gone had no children left. Nothing to delete is not an error. */
export function deleteAllSnapshots({ operationId }: CommandOf<'DeleteAllSnapshots'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  requireIdle(vm);
  const all = [...vm.snapshots.values()];
  for (const snapshot of all) requireUnprotected(snapshot);
  if (all.length === 0) return [];
  const roots = all.filter(({ parentId }) => parentId === null || !vm.snapshots.has(parentId));
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

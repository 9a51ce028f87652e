import type { LineageNode, SnapshotView } from '../shapes.ts';

/** The tree as flat nodes in pre-order, siblings in the order they came in. Deep trees are no deep recursion. */
export function preOrder(
  live: readonly SnapshotView[],
  { root, depth = Number.POSITIVE_INFINITY }: { root?: string; depth?: number },
): LineageNode[] {
  const children = new Map<string | null, SnapshotView[]>();
  for (const snapshot of live) {
    const siblings = children.get(snapshot.parentId);
    if (siblings) siblings.push(snapshot);
    else children.set(snapshot.parentId, [snapshot]);
  }
  const roots = root === undefined ? (children.get(null) ?? []) : live.filter(({ id }) => id === root);
  const open = roots.map((snapshot) => ({ snapshot, level: 0 })).toReversed();
  const nodes: LineageNode[] = [];
  for (let next = open.pop(); next; next = open.pop()) {
    const { snapshot, level } = next;
    const below = children.get(snapshot.id) ?? [];
    nodes.push({ ...snapshot, depth: level, childCount: below.length });
    if (level < depth)
      open.push(...below.map((child) => ({ snapshot: child, level: level + 1 })).toReversed());
  }
  return nodes;
}

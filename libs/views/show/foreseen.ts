import type { Consistency, Snapshot, Vm } from '#ledger';
import type { LineageNode, MemoryView, SnapshotView } from '../shapes.ts';

/** What nobody knows yet of a snapshot that would be taken. */
export interface Unborn {
  readonly createdAt: string;
  readonly consistency: Consistency | null;
}

export interface ForeseenTree {
  /** In pre-order, siblings in the order in which they were asked for. */
  readonly nodes: readonly LineageNode[];
  /** How many there would be in all. */
  readonly totalSize: number;
}

/**
 * The tree of a machine as it might become, without pins, and no more of it than `nodesMax`. `shown` gives each
 * snapshot as it is now; null for one that is not there yet.
 */
export function foreseenTree(
  vm: Readonly<Vm>,
  shown: (id: string) => SnapshotView | null,
  { unborn, nodesMax }: { readonly unborn: Unborn; readonly nodesMax: number },
): ForeseenTree {
  const children = childrenIn(vm);
  const nodes: LineageNode[] = [];
  const waiting = levelOf(children, null, 0);
  for (let next = waiting.pop(); next && nodes.length < nodesMax; next = waiting.pop()) {
    const { snapshot, depth } = next;
    const below = levelOf(children, snapshot.id, depth + 1);
    const known = shown(snapshot.id) ?? newlyBorn(vm, snapshot, unborn);
    nodes.push({ ...known, ...foreseen(vm, snapshot), depth, childCount: below.length });
    waiting.push(...below);
  }
  return { nodes, totalSize: [...children.values()].reduce((sum, { length }) => sum + length, 0) };
}

type Children = ReadonlyMap<string | null, readonly Snapshot[]>;

/** By what they hang on in a tree without pins. */
function childrenIn({ snapshots }: Readonly<Vm>): Children {
  const shownParent = (id: string | null): string | null => {
    const parent = snapshots.get(id ?? '');
    return parent?.implicit ? shownParent(parent.parentId) : (parent?.id ?? null);
  };
  const children = new Map<string | null, Snapshot[]>();
  for (const snapshot of snapshots.values()) {
    if (snapshot.implicit) continue;
    const parent = shownParent(snapshot.parentId);
    const siblings = children.get(parent);
    if (siblings) siblings.push(snapshot);
    else children.set(parent, [snapshot]);
  }
  return children;
}

interface Waiting {
  readonly snapshot: Snapshot;
  readonly depth: number;
}

/** The last first, for whoever takes them from the end. */
const levelOf = (children: Children, parent: string | null, depth: number): Waiting[] =>
  (children.get(parent) ?? []).map((snapshot) => ({ snapshot, depth })).toReversed();

/** What an operation may change of a snapshot that is there already. */
const foreseen = (
  { current }: Readonly<Vm>,
  { id, parentId, status, disks }: Snapshot,
): Pick<SnapshotView, 'parentId' | 'status' | 'disks' | 'current'> => ({
  ...{ parentId, status },
  disks: disks.map(({ device, mode, file }) => ({ device, mode, ...(file !== undefined && { file }) })),
  current: id === current.id,
});

function newlyBorn(vm: Readonly<Vm>, snapshot: Snapshot, unborn: Unborn): SnapshotView {
  const { id, name, description, labels, vmState, implicit, isProtected } = snapshot;
  const own = { id, vmId: vm.id, name, description, labels, vmState, implicit, protected: isProtected };
  const memory = snapshot.memory as MemoryView; // What is not known of it is left out.
  return { ...own, memory, ...unborn, ...foreseen(vm, snapshot) };
}

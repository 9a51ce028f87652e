import { driftConditions, knownDrift, evolve, unborn, type Vm, type VmEvent, type VmEventOf } from '#ledger';
import type { LineageNode, SnapshotView, VmView } from '../shapes.ts';
import type { Written } from './scribe.ts';

/** Test-only. All that is to be seen of one VM at one version. */
export interface Picture {
  readonly version: number;
  readonly recordedAt: string;
  readonly vm: VmView | null;
  readonly current: VmView['current'];
  /** Every one there ever was, in the order in which they were asked for. */
  readonly snapshots: readonly SnapshotView[];
}

type Remembered = { -readonly [K in keyof Omit<SnapshotView, 'current'>]: SnapshotView[K] };

/** The views told again, the simple way: by `evolve`, in memory, with a picture kept after every event. */
export class Retelling {
  readonly #vmId: string;
  readonly #snapshots = new Map<string, Remembered>();
  #vm: Vm = unborn();
  readonly pictures: Picture[] = [];

  constructor(vmId: string) {
    this.#vmId = vmId;
    this.pictures.push(this.#picture({ version: '0', recordedAt: '' }));
  }

  tell(event: Written): Picture {
    this.#vm = evolve(this.#vm, structuredClone(event));
    if (event.type === 'SnapshotRequested') this.#begin(event, event.recordedAt);
    if (event.type === 'SnapshotPinned' || event.type === 'SnapshotAdopted')
      this.#begin(event, event.recordedAt);
    if (isCapture(event)) this.#taken(event);
    for (const [id, shown] of this.#snapshots) {
      const lives = this.#vm.snapshots.get(id);
      const hasEnded = shown.status === 'deleted' || shown.status === 'failed';
      if (lives) {
        const { name, description, labels, parentId, status, isProtected, disks, memory, implicit } = lives;
        const said = { name, description, labels, parentId, protected: isProtected };
        Object.assign(shown, { ...said, status, disks, memory, implicit });
      } else if (!hasEnded) shown.status = event.type === 'CreateFailed' ? 'failed' : 'deleted';
    }
    const picture = this.#picture(event);
    this.pictures.push(picture);
    return picture;
  }

  /** What evolve knows of it is told with every event; the rest is told once. */
  #begin(
    { data }: VmEventOf<'SnapshotRequested' | 'SnapshotPinned' | 'SnapshotAdopted'>,
    createdAt: string,
  ): void {
    const { snapshotId: id, name, parentId } = data;
    this.#snapshots.set(id, {
      ...{ id, vmId: this.#vmId, name, description: '', parentId, createdAt, status: 'pending' },
      ...{ vmState: null, memory: { mode: 'none' }, disks: [], consistency: null },
      ...{ implicit: false, protected: false, labels: {} },
    });
  }

  #taken({ data }: Capture): void {
    const { snapshotId, vmState, consistency } = data;
    Object.assign(this.#snapshots.get(snapshotId) ?? {}, { vmState, consistency });
  }

  #picture({ version, recordedAt }: { readonly version: string; readonly recordedAt: string }): Picture {
    const { current, hold, life, id, name, host, monitor, guestAgent, labels, disks, operation } = this.#vm;
    const present = { snapshotId: current.id, confidence: current.confidence };
    const vm: VmView = {
      ...{ id, name, host, monitor, guestAgent, labels },
      disks: disks.map(({ readOnly: _readOnly, ...disk }) => disk),
      current: present,
      operationId: operation?.id ?? null,
      conditions: [
        ...(hold ? [{ type: 'Held' as const, reason: hold.reason, message: hold.message }] : []),
        ...driftConditions(knownDrift(this.#vm)),
      ],
    };
    return structuredClone({
      ...{ version: Number(version), recordedAt, current: present },
      vm: life === 'registered' ? vm : null,
      snapshots: [...this.#snapshots.values()].map((shown) => ({
        ...shown,
        current: shown.id === current.id,
      })),
    });
  }
}

type Capture = VmEventOf<'SnapshotCreated' | 'SnapshotPinned' | 'SnapshotAdopted'>;

const isCapture = (event: VmEvent): event is Capture =>
  event.type === 'SnapshotCreated' || event.type === 'SnapshotPinned' || event.type === 'SnapshotAdopted';

const isAlive = ({ status }: SnapshotView): boolean => status !== 'deleted' && status !== 'failed';

export interface TreeWish {
  readonly root?: string;
  readonly depth?: number;
  readonly implicit?: boolean;
}

/** The tree in pre-order, by recursion. */
export function treeOf({ snapshots }: Picture, wish: TreeWish = {}): LineageNode[] {
  const { root = null, depth: depthMax = Infinity, implicit = false } = wish;
  const alive = snapshots.filter(isAlive);
  const isShown = (snapshot: SnapshotView): boolean => implicit || !snapshot.implicit || snapshot.id === root;
  const parentOf = ({ parentId }: SnapshotView): string | null => {
    const parent = alive.find(({ id }) => id === parentId);
    return parent && !isShown(parent) ? parentOf(parent) : parentId;
  };
  const below = (parent: string | null): SnapshotView[] =>
    alive.filter((snapshot) => isShown(snapshot) && parentOf(snapshot) === parent);
  const nodes = (snapshot: SnapshotView, depth: number): LineageNode[] => [
    { ...snapshot, depth, childCount: below(snapshot.id).filter((child) => !child.implicit).length },
    ...(depth < depthMax ? below(snapshot.id).flatMap((child) => nodes(child, depth + 1)) : []),
  ];
  const roots = root === null ? below(null) : alive.filter(({ id }) => id === root);
  return roots.flatMap((snapshot) => nodes(snapshot, 0));
}

/** The parent first, the root last. */
export function ancestorsOf({ snapshots }: Picture, id: string): SnapshotView[] {
  const path: SnapshotView[] = [];
  const find = (wanted: string | null | undefined) => snapshots.find((snapshot) => snapshot.id === wanted);
  for (let next = find(find(id)?.parentId); next; next = find(next.parentId)) path.push(next);
  return path;
}

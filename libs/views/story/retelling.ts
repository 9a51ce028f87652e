import { evolve, unborn, type Vm, type VmEventOf } from '#ledger';
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
    if (event.type === 'SnapshotCreated') this.#taken(event);
    for (const [id, shown] of this.#snapshots) {
      const lives = this.#vm.snapshots.get(id);
      const hasEnded = shown.status === 'deleted' || shown.status === 'failed';
      if (lives) {
        const { name, description, labels, parentId, status, isProtected } = lives;
        Object.assign(shown, { name, description, labels, parentId, status, protected: isProtected });
      } else if (!hasEnded) shown.status = event.type === 'CreateFailed' ? 'failed' : 'deleted';
    }
    const picture = this.#picture(event);
    this.pictures.push(picture);
    return picture;
  }

  #begin({ data }: VmEventOf<'SnapshotRequested'>, createdAt: string): void {
    const { snapshotId: id, name, description, labels, parentId, memory = 'none', disks } = data;
    this.#snapshots.set(id, {
      ...{ id, vmId: this.#vmId, name, description, parentId, createdAt, status: 'pending' },
      ...{ vmState: null, memory: { mode: memory }, disks, consistency: null },
      ...{ implicit: false, protected: false, labels },
    });
  }

  #taken({ data }: VmEventOf<'SnapshotCreated'>): void {
    const { snapshotId, vmState, memory, consistency, evidence } = data;
    const disks = this.#vm.snapshots.get(snapshotId)?.disks.map((disk) => {
      const found = evidence.find(({ device }) => device === disk.device);
      return found ? { ...disk, file: found.file } : disk;
    });
    Object.assign(this.#snapshots.get(snapshotId) ?? {}, { vmState, memory, consistency, disks });
  }

  #picture({ version, recordedAt }: { readonly version: string; readonly recordedAt: string }): Picture {
    const { current, hold, life, id, name, host, monitor, guestAgent, labels, disks, operation } = this.#vm;
    const present = { snapshotId: current.id, confidence: current.confidence };
    const vm: VmView = {
      ...{ id, name, host, monitor, guestAgent, labels },
      disks: disks.map(({ readOnly: _readOnly, ...disk }) => disk),
      current: present,
      operationId: operation?.id ?? null,
      conditions: hold ? [{ type: 'Held', reason: hold.reason, message: hold.message }] : [],
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

const isAlive = ({ status }: SnapshotView): boolean => status !== 'deleted' && status !== 'failed';

/** The tree in pre-order, by recursion. */
export function treeOf(picture: Picture, root: string | null = null, depthMax = Infinity): LineageNode[] {
  const alive = picture.snapshots.filter(isAlive);
  const below = (parent: string | null): SnapshotView[] =>
    alive.filter(({ parentId }) => parentId === parent);
  const nodes = (snapshot: SnapshotView, depth: number): LineageNode[] => [
    { ...snapshot, depth, childCount: below(snapshot.id).length },
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

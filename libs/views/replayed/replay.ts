import type { Recorded } from '#event-store';
import { evolve, unborn, type Vm, type VmEvent, type VmEventOf } from '#ledger';
import type { SnapshotView, VmView } from '../shapes.ts';

export type Told = Recorded<VmEvent>;

/** A snapshot as it is shown, but for whether it is current. */
type Remembered = { -readonly [K in keyof Omit<SnapshotView, 'current'>]: SnapshotView[K] };

/** What one VM has come to after some of its events, and every snapshot it ever had. */
export class Replay {
  readonly #vmId: string;
  readonly #snapshots = new Map<string, Remembered>();
  #vm: Vm = unborn();
  version = 0;

  constructor(vmId: string) {
    this.#vmId = vmId;
  }

  /** The VM after one more event. */
  tell(event: Told): void {
    const lived = [...this.#vm.snapshots.keys()];
    this.#vm = evolve(this.#vm, event);
    this.version = Number(event.version);
    if (event.type === 'SnapshotRequested') this.#begin(event);
    for (const id of lived) {
      const gone = this.#vm.snapshots.has(id) ? undefined : this.#snapshots.get(id);
      if (gone) gone.status = event.type === 'CreateFailed' ? 'failed' : 'deleted';
    }
    for (const {
      id,
      name,
      description,
      labels,
      parentId,
      status,
      isProtected,
    } of this.#vm.snapshots.values()) {
      const said = { name, description, labels, parentId, status, protected: isProtected };
      Object.assign(this.#snapshots.get(id) ?? {}, said);
    }
    if (event.type === 'SnapshotCreated') this.#taken(event);
  }

  #begin({ data, recordedAt }: Told & VmEventOf<'SnapshotRequested'>): void {
    const { snapshotId: id, name, description, labels, parentId, memory = 'none', disks } = data;
    this.#snapshots.set(id, {
      ...{ id, vmId: this.#vmId, name, description, parentId, createdAt: recordedAt, status: 'pending' },
      ...{ vmState: null, memory: { mode: memory }, disks, consistency: null },
      ...{ implicit: false, protected: false, labels },
    });
  }

  #taken({ data }: VmEventOf<'SnapshotCreated'>): void {
    const { snapshotId, vmState, memory, consistency, evidence } = data;
    const disks = (this.#vm.snapshots.get(snapshotId)?.disks ?? []).map((disk) => {
      const found = evidence.find(({ device }) => device === disk.device);
      return found ? { ...disk, file: found.file } : disk;
    });
    const { mode, device, sizeBytes } = memory;
    const held = {
      mode,
      ...(device !== undefined && { device }),
      ...(sizeBytes !== undefined && { sizeBytes }),
    };
    Object.assign(this.#snapshots.get(snapshotId) ?? {}, { vmState, memory: held, consistency, disks });
  }

  /** Null before it is registered and after it was forgotten. */
  vm(): VmView | null {
    const { life, id, name, host, monitor, guestAgent, labels, disks, operation, hold } = this.#vm;
    if (life !== 'registered') return null;
    return {
      ...{ id, name, host, monitor, guestAgent, labels },
      disks: disks.map(({ device, node, format, file, default: mode }) => ({
        device,
        node,
        format,
        file,
        default: mode,
      })),
      current: this.current(),
      operationId: operation?.id ?? null,
      conditions: hold ? [{ type: 'Held', reason: hold.reason, message: hold.message }] : [],
    };
  }

  current(): VmView['current'] {
    return { snapshotId: this.#vm.current.id, confidence: this.#vm.current.confidence };
  }

  snapshot(id: string): SnapshotView | null {
    const found = this.#snapshots.get(id);
    return found ? { ...found, current: id === this.#vm.current.id } : null;
  }

  /** Every one there ever was, in the order in which they were asked for. */
  snapshots(): SnapshotView[] {
    return [...this.#snapshots.values()].map((found) => ({
      ...found,
      current: found.id === this.#vm.current.id,
    }));
  }
}

/** Whether it stands in the tree. */
export const isLive = ({ status }: SnapshotView): boolean => status !== 'deleted' && status !== 'failed';

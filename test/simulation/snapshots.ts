import type { DataOf } from '#ledger';
import type { Known, KnownDisk } from './known.ts';
import type { Change, Layers } from './layers.ts';
import { must, Violation } from './violation.ts';

/** The snapshots of one VM that live, as far as the log has said. Throws `Violation`. */
export class Snapshots {
  readonly all = new Map<string, Known>();
  readonly #ids = new Set<string>();

  add(id: string, parentId: string | null, { status, tag }: Pick<Known, 'status' | 'tag'>): void {
    must(!this.#ids.has(id), 'I16', () => `the id ${id} is given a second time`);
    this.#ids.add(id);
    this.all.set(id, { parentId, tag, disks: new Map(), status, memory: null, before: 'complete' });
  }

  /** One that must be known. */
  of(id: string): Known {
    const known = this.all.get(id);
    if (!known) throw new Violation('I16', `nothing is known of snapshot ${id}`);
    return known;
  }

  /** Where it lies. What it holds is for the disks to tell. */
  captured(data: DataOf<'SnapshotCreated'> | DataOf<'SnapshotPinned'>): Known {
    const id = data.snapshotId;
    const known = this.of(id);
    const fileOf = (device: string, { mode }: KnownDisk): string | null => {
      if (mode === 'internal') return data.evidence.find((one) => one.device === device)?.file ?? null;
      const frozen = data.layers?.contents.find((one) => one.snapshotId === id && one.device === device);
      return mode === 'external' ? (frozen?.file ?? null) : null;
    };
    for (const [device, disk] of known.disks)
      known.disks.set(device, { ...disk, file: fileOf(device, disk) });
    for (const { device, file } of data.evidence)
      if (!known.disks.has(device)) known.disks.set(device, { mode: 'internal', file, truth: null });
    const lost = [...known.disks].find(([, { mode, file }]) => mode !== 'none' && file === null);
    must(lost === undefined, 'I1', () => `nothing says where ${lost?.[0]} of ${id} is`);
    return known;
  }

  adopted(data: DataOf<'SnapshotAdopted'>): void {
    this.add(data.snapshotId, data.parentId, { status: 'complete', tag: data.tag });
    const known = this.of(data.snapshotId);
    for (const { device, file } of data.evidence)
      known.disks.set(device, { mode: 'internal', file, truth: null });
  }

  stands(id: string, status: Known['status']): void {
    this.of(id).status = status;
  }

  /** Its children are its parent's from now on. */
  forget(id: string): Known {
    const known = this.of(id);
    this.all.delete(id);
    for (const other of this.all.values()) if (other.parentId === id) other.parentId = known.parentId;
    return known;
  }

  /**
   * Layers are others from now on, and what some hold lies in other files. What lay on a layer that a machine has strayed
   * onto has gone with what that wrote, and nobody knows it any more, wherever it lies.
   */
  relayered(change: Change, layers: Layers, isAstray: (file: string) => boolean): void {
    const blurred = [...this.all.values()].flatMap(({ disks }) =>
      [...disks]
        .filter(([, { file }]) => file !== null && isAstray(file))
        .map(([device]) => ({ disks, device })),
    );
    layers.change(change);
    this.#moved(change.contents);
    for (const { disks, device } of blurred) {
      const disk = disks.get(device);
      if (disk && !isAstray(disk.file ?? '')) disks.set(device, { ...disk, truth: null });
    }
  }

  #moved(contents: Change['contents']): void {
    for (const { snapshotId, device, file } of contents) {
      const known = this.all.get(snapshotId);
      const disk = known?.disks.get(device);
      if (disk) known?.disks.set(device, { ...disk, file });
    }
  }
}

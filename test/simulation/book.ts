import type { VmEvent } from '#ledger';
import { Disks } from './disks.ts';
import type { LoggedEvent } from './logged-event.ts';
import type { Image, SnapshotEntry } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must, Violation } from './violation.ts';

type EventOf<T extends VmEvent['type']> = Extract<VmEvent, { type: T }>;
type DataOf<T extends VmEvent['type']> = EventOf<T>['data'];

/** A snapshot that lives, as far as the log has said. */
interface Known {
  parentId: string | null;
  readonly devices: readonly string[];
  status: 'pending' | 'complete' | 'deleting' | 'suspect';
  hasMemory: boolean;
}

/** The one request that has not been answered yet. */
interface Open {
  readonly id: string;
  readonly kind: 'create' | 'load' | 'delete';
  readonly snapshotId: string | null;
  readonly targets: readonly string[];
  readonly atMs: number;
  /** What every disk went back to when it was asked for. */
  readonly origins: ReadonlyMap<Image, number>;
  isStarted: boolean;
}

/** What an operation left that could be neither undone nor finished. */
interface Hold {
  /** Disks that a load has torn are whole again after another load, and by nothing else. */
  readonly isTorn: boolean;
  readonly leftovers: Set<string>;
}

/** What the ledger says of a VM when asked. */
export interface Standing {
  readonly currentId: string | null;
  readonly snapshotIds: readonly string[];
  readonly isHeld: boolean;
}

/** What the log has said of one VM, kept in the simplest way, and held against its disks event by event. */
export class Book {
  readonly vm: SimulatedVm;
  readonly snapshots = new Map<string, Known>();
  current: string | null = null;
  open: Open | null = null;
  hold: Hold | null = null;
  readonly #disks: Disks;
  readonly #ids = new Set<string>();
  readonly #ended = new Set<string>();

  constructor(vm: SimulatedVm) {
    this.vm = vm;
    this.#disks = new Disks(vm);
    for (const image of vm.images) image.watch((change, entry) => this.#watch(change, entry, image));
  }

  /** The machine's disks by the names that people use. */
  get devices(): string[] {
    return this.#disks.devices;
  }

  /** Snapshots that can no longer be trusted. Without a launcher nobody can fence a machine that is started again. */
  get damagedCount(): number {
    return this.#disks.damagedCount;
  }

  /** Throws a `Violation`. */
  enter({ type, data }: LoggedEvent, atMs: number): void {
    const event = { type, data } as VmEvent;
    if ('operationId' in event.data) this.#requireOpen(event.type, event.data.operationId);
    this.#take(event, atMs);
    const { current } = this;
    must(current === null || this.snapshots.has(current), 'I5', () => `current ${current} is gone`);
    for (const [id, { parentId }] of this.snapshots)
      must(
        parentId === null || this.snapshots.has(parentId),
        'I4',
        () => `${id} has lost its parent ${parentId}`,
      );
  }

  /** To be called when nothing is under way any more. Throws a `Violation`. */
  checkQuiet(): void {
    must(this.open === null, 'I3', () => `${this.open?.kind} ${this.open?.id} never ended`);
    const complete = [...this.snapshots].filter(([, { status }]) => status === 'complete');
    this.#disks.checkTags(new Map(complete.map(([id, { devices }]) => [id, devices])), this.snapshots);
    if (!this.hold?.isTorn) this.#disks.checkContent();
  }

  /** What the ledger itself has made of the same log. Throws a `Violation`. */
  compare({ currentId, snapshotIds, isHeld }: Standing): void {
    must(
      currentId === this.current,
      'I11',
      () => `the ledger has ${currentId} as current, not ${this.current}`,
    );
    const known = [...this.snapshots.keys()].toSorted().join(' ');
    const folded = [...snapshotIds].toSorted().join(' ');
    must(known === folded, 'I11', () => `the ledger knows the snapshots ${folded}, not ${known}`);
    must(
      isHeld || !this.hold?.isTorn,
      'rule 6',
      () => 'disks are torn, and the ledger holds the machine no longer',
    );
  }

  #requireOpen(type: VmEvent['type'], operationId: string): void {
    const { open } = this;
    const hasEnded = this.#ended.has(operationId);
    if (type.endsWith('Requested')) {
      must(open === null, 'I7', () => `${type} while ${open?.kind} ${open?.id} is under way`);
      must(!hasEnded, 'I3', () => `operation ${operationId} is asked for twice`);
      return;
    }
    must(open?.id === operationId, 'I3', () => {
      return `${type} of ${operationId}, which ${hasEnded ? 'has ended' : 'was never asked for'}`;
    });
    const isDone = type.startsWith('Snapshot');
    must(open.isStarted || !isDone, 'I19', () => `${type}, but the log has no word of its start`);
  }

  #take(event: VmEvent, atMs: number): void {
    switch (event.type) {
      case 'VmRegistered':
      case 'DisksChanged':
        return this.#disks.name(event.data.disks);
      case 'SnapshotRequested':
        return this.#requested(event.data, atMs);
      case 'LoadRequested':
        return this.#begin('load', event.data, { targets: [], atMs });
      case 'DeleteRequested':
        return this.#doomed(event.data, atMs);
      case 'OperationStarted':
        if (this.open) this.open.isStarted = true;
        return;
      case 'SnapshotCreated':
        return this.#created(event.data);
      case 'SnapshotLoaded':
        return this.#loaded(event.data);
      case 'SnapshotDiscarded':
        return this.#forget(event.data.snapshotId);
      case 'SnapshotDeleted':
        return this.#deleted(event.data);
      case 'CreateFailed':
      case 'LoadFailed':
      case 'DeleteFailed':
        return this.#failed(event);
      case 'LeftoverRemoved':
        return this.#leftoverRemoved(event.data);
      case 'HoldReleased':
        this.hold = null;
        return this.#disks.accept();
      case 'VmChanged':
      case 'VmForgotten':
      case 'SnapshotRenamed':
      case 'SnapshotDescribed':
      case 'SnapshotLabelled':
      case 'SnapshotProtected':
      case 'SnapshotUnprotected':
      case 'SnapshotRetired':
      case 'SnapshotUnretired':
        return; // Nothing that a disk could tell.
    }
  }

  #requested(data: DataOf<'SnapshotRequested'>, atMs: number): void {
    const { snapshotId, parentId, disks } = data;
    must(!this.hold, 'rule 6', () => 'a create was accepted on a held machine');
    must(!this.#ids.has(snapshotId), 'I16', () => `the id ${snapshotId} is given a second time`);
    must(parentId === this.current, 'I6', () => `parent ${parentId}, but ${this.current} is current`);
    this.#ids.add(snapshotId);
    const devices = disks.filter(({ mode }) => mode !== 'none').map(({ device }) => device);
    this.snapshots.set(snapshotId, { parentId, devices, status: 'pending', hasMemory: false });
    this.#begin('create', data, { targets: [], atMs });
  }

  #doomed(data: DataOf<'DeleteRequested'>, atMs: number): void {
    must(!this.hold, 'rule 6', () => 'a delete was accepted on a held machine');
    for (const id of data.targets) this.#known(id).status = 'deleting';
    this.#begin('delete', data, { targets: data.targets, atMs });
  }

  #begin(
    kind: Open['kind'],
    { operationId: id, snapshotId }: { operationId: string; snapshotId: string | null },
    { targets, atMs }: Pick<Open, 'targets' | 'atMs'>,
  ): void {
    const origins = new Map(this.vm.images.map((image) => [image, image.origin]));
    this.open = { id, kind, snapshotId, targets, atMs, origins, isStarted: false };
  }

  #created({ snapshotId, memory }: DataOf<'SnapshotCreated'>): void {
    const known = this.#known(snapshotId);
    known.status = 'complete';
    known.hasMemory = memory.mode === 'internal';
    this.current = snapshotId;
    this.#disks.checkCreated(snapshotId, known.devices, known.hasMemory);
    this.#end();
  }

  #loaded({ snapshotId, runs }: DataOf<'SnapshotLoaded'>): void {
    this.#disks.checkLoaded(snapshotId, this.#known(snapshotId).devices);
    this.#disks.checkPower(runs, this.open?.atMs ?? 0);
    this.current = snapshotId;
    if (this.hold) this.hold = this.hold.leftovers.size === 0 ? null : { ...this.hold, isTorn: false };
    this.#end();
  }

  #deleted({ snapshotId }: DataOf<'SnapshotDeleted'>): void {
    if (snapshotId !== null) this.#forget(snapshotId);
    const isLeft = [...this.snapshots.values()].some(({ status }) => status === 'deleting');
    must(!isLeft, 'I15', () => 'a delete ended and left one of its targets');
    this.#end();
  }

  #failed(event: EventOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>): void {
    const { type, data } = event;
    const isHeld = data.outcome === 'held';
    if (type === 'CreateFailed') this.snapshots.delete(data.snapshotId);
    for (const known of this.snapshots.values())
      if (known.status === 'deleting') known.status = isHeld ? 'suspect' : 'complete';
    if (isHeld) {
      const leftovers = data.leftovers.map(({ file, tag }) => `${file} ${tag}`);
      this.#disks.expect(leftovers);
      const earlier = this.hold?.leftovers ?? [];
      this.hold = { isTorn: type === 'LoadFailed', leftovers: new Set([...earlier, ...leftovers]) };
      if (type === 'LoadFailed') this.current = data.snapshotId;
    } else this.#undone(event);
    this.#end();
  }

  #undone({ type, data }: EventOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>): void {
    const { origins = new Map<Image, number>(), targets = [] } = this.open ?? {};
    must(data.leftovers.length === 0, 'rule 6', () => `${type} is undone, and yet has leftovers`);
    this.#disks.checkUndone(type === 'CreateFailed' ? data.snapshotId : null, origins);
    for (const id of targets) this.#disks.checkKept(id, this.#known(id).devices);
  }

  #leftoverRemoved({ file, tag }: DataOf<'LeftoverRemoved'>): void {
    this.#disks.checkRemoved(file, tag);
    this.hold?.leftovers.delete(`${file} ${tag}`);
    if (this.hold?.leftovers.size === 0 && !this.hold.isTorn) this.hold = null;
  }

  #forget(id: string): void {
    const { parentId, devices } = this.#known(id);
    this.#disks.checkDeleted(id, devices);
    for (const known of this.snapshots.values()) if (known.parentId === id) known.parentId = parentId;
    if (this.current === id) this.current = parentId;
    this.snapshots.delete(id);
  }

  #end(): void {
    if (this.open) this.#ended.add(this.open.id);
    this.open = null;
  }

  #known(id: string): Known {
    const known = this.snapshots.get(id);
    if (!known) throw new Violation('I16', `nothing is known of snapshot ${id}`);
    return known;
  }

  /** Nothing of ours may move on a disk unless the log has said so before. */
  #watch(change: 'add' | 'remove' | 'revert', entry: SnapshotEntry, image: Image): void {
    const id = this.#disks.ownerOf(entry);
    if (id === null) return;
    const { open } = this;
    const isOwn = open?.isStarted === true && (open.snapshotId === id || open.targets.includes(id));
    const isAllowed = {
      add: isOwn && open.kind === 'create',
      remove: this.#disks.isExpected(image, entry) || (isOwn && open.kind !== 'load'),
      revert: isOwn && open.kind === 'load',
    }[change];
    must(
      isAllowed,
      'I19',
      () => `${change} of ${entry.name} on ${image.path}, which the log knows nothing of`,
    );
  }
}

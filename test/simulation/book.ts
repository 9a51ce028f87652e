import type { DataOf, VmEvent } from '#ledger';
import { Disks } from './disks.ts';
import { type EventOf, type Known, type KnownDisk, type Open, PREFIX, tagOf } from './known.ts';
import { Layers } from './layers.ts';
import type { LoggedEvent } from './logged-event.ts';
import type { Image, SnapshotEntry } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must, Violation } from './violation.ts';

type Failure = EventOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>;
type Asked = { readonly operationId: string; readonly snapshotId: string | null };
type Change = NonNullable<DataOf<'SnapshotLoaded'>['layers']>;

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
  /** Copies of disks that creates have made. */
  readonly copies = new Set<string>();
  current: string | null = null;
  open: Open | null = null;
  hold: Hold | null = null;
  readonly #layers: Layers;
  readonly #disks: Disks;
  readonly #ids = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #pins = new Set<string>();
  #hasEnded = false;

  constructor(vm: SimulatedVm) {
    this.vm = vm;
    this.#layers = new Layers(vm);
    this.#disks = new Disks(vm, this.#layers);
    vm.host.watch(vm.directory, (change, entry, image) => this.#watch(change, entry, image));
    vm.onBoot = () => this.#booted();
    vm.host.files.onUnlink(vm.directory, (path) => this.#watchUnlink(path));
  }

  /** The machine's disks by the names that people use. */
  get devices(): string[] {
    return this.#layers.devices;
  }

  /** What went wrong and could not be known or prevented, and how often. */
  get limits(): ReadonlyMap<string, number> {
    return this.#disks.limits;
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
    this.#disks.checkContents(this.snapshots.values());
    if (this.hold?.isTorn) return;
    this.#disks.checkFiles(this.snapshots, this.copies);
    this.#disks.checkRest();
    this.#disks.checkPresent();
    this.#layers.checkHeaders();
    if (!this.#disks.hasStrays) this.#layers.checkChains();
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
    must(open.started !== null || !isDone, 'I19', () => `${type}, but the log has no word of its start`);
  }

  #take(event: VmEvent, atMs: number): void {
    switch (event.type) {
      case 'VmRegistered':
      case 'DisksChanged':
        return this.#layers.name(event.data.disks);
      case 'SnapshotRequested':
        return this.#requested(event.data, atMs);
      case 'LoadRequested':
        return this.#toLoad(event.data, atMs);
      case 'DeleteRequested':
        return this.#doomed(event.data, atMs);
      case 'OperationStarted':
        return this.#started(event.data);
      case 'SnapshotPinned':
        return this.#pinned(event.data);
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
      case 'SnapshotRetired':
        return this.#stands(event.data.snapshotId, 'retired');
      case 'SnapshotUnretired':
        return this.#stands(event.data.snapshotId, 'complete');
      case 'DriftFound':
        for (const { snapshotId, status } of event.data.standings) this.#stands(snapshotId, status);
        if (event.data.stopped) this.vm.isMeantToRun = false;
        return;
      case 'SnapshotAdopted':
        return this.#adopted(event.data);
      case 'VmChanged':
      case 'VmForgotten':
      case 'SnapshotRenamed':
      case 'SnapshotDescribed':
      case 'SnapshotLabelled':
      case 'SnapshotProtected':
      case 'SnapshotUnprotected':
        return; // Nothing that a disk could tell.
    }
  }

  #requested(data: DataOf<'SnapshotRequested'>, atMs: number): void {
    const { snapshotId, parentId, disks } = data;
    must(!this.hold, 'rule 6', () => 'a create was accepted on a held machine');
    must(parentId === this.current, 'I6', () => `parent ${parentId}, but ${this.current} is current`);
    this.#add(snapshotId, parentId, { status: 'pending', tag: tagOf(snapshotId) });
    const known = this.#known(snapshotId);
    for (const { device, mode } of disks) known.disks.set(device, { mode, file: null, truth: null });
    this.#begin('create', data, { atMs });
  }

  #add(id: string, parentId: string | null, { status, tag }: Pick<Known, 'status' | 'tag'>): void {
    must(!this.#ids.has(id), 'I16', () => `the id ${id} is given a second time`);
    this.#ids.add(id);
    this.snapshots.set(id, { parentId, tag, disks: new Map(), status, memory: null, before: 'complete' });
  }

  /** Memory that comes back to disks that were never captured with it is what its owner wanted. */
  #toLoad(data: DataOf<'LoadRequested'>, atMs: number): void {
    const { disks, memory } = this.#known(data.snapshotId);
    const kept = (device: string): boolean => (disks.get(device)?.mode ?? 'none') !== 'none';
    for (const device of memory && !data.disksOnly ? this.devices : [])
      if (!kept(device)) this.vm.guest.forgiven.add(device);
    if (data.pin) this.#disks.pins.add(tagOf(data.pin.snapshotId));
    this.#begin('load', data, { pinId: data.pin?.snapshotId ?? null, atMs });
  }

  #doomed(data: DataOf<'DeleteRequested'>, atMs: number): void {
    must(!this.hold, 'rule 6', () => 'a delete was accepted on a held machine');
    for (const id of data.targets) {
      const known = this.#known(id);
      known.before = known.status;
      known.status = 'deleting';
    }
    this.#begin('delete', data, { targets: data.targets, atMs });
  }

  #begin(
    kind: Open['kind'],
    { operationId: id, snapshotId }: Asked,
    { targets = [], pinId = null, atMs }: Partial<Pick<Open, 'targets' | 'pinId'>> & Pick<Open, 'atMs'>,
  ): void {
    const atInstant = this.vm.guest.instant;
    this.open = { id, kind, snapshotId, pinId, targets, atMs, atInstant, started: null };
  }

  #started(data: DataOf<'OperationStarted'>): void {
    if (this.open) this.open.started = data;
    for (const { file, by } of data.overlays ?? []) if (by === 'copy') this.#disks.layerCopies.add(file);
  }

  #captured(id: string, data: DataOf<'SnapshotCreated'> | DataOf<'SnapshotPinned'>): void {
    const known = this.#known(id);
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
    if (!this.open) return;
    const { disks, memory } = this.#disks.checkCaptured(known, data.memory, this.open);
    for (const [device, disk] of disks) known.disks.set(device, disk);
    known.memory = memory;
    known.status = 'complete';
  }

  #created(data: DataOf<'SnapshotCreated'>): void {
    this.#relayer(data.layers);
    this.#captured(data.snapshotId, data);
    for (const { target } of data.backups ?? []) this.copies.add(target);
    this.current = data.snapshotId;
    this.#end();
  }

  #pinned(data: DataOf<'SnapshotPinned'>): void {
    this.#add(data.snapshotId, data.parentId, { status: 'pending', tag: tagOf(data.snapshotId) });
    this.#pins.add(data.snapshotId);
    this.#disks.pins.add(tagOf(data.snapshotId));
    const known = this.#known(data.snapshotId);
    for (const { device, mode } of data.disks) known.disks.set(device, { mode, file: null, truth: null });
    this.#relayer(data.layers);
    this.#captured(data.snapshotId, data);
  }

  #adopted(data: DataOf<'SnapshotAdopted'>): void {
    this.#add(data.snapshotId, data.parentId, { status: 'complete', tag: data.tag });
    const known = this.#known(data.snapshotId);
    for (const { device, file } of data.evidence)
      known.disks.set(device, { mode: 'internal', file, truth: null });
  }

  #loaded({ snapshotId, runs, layers }: DataOf<'SnapshotLoaded'>): void {
    this.#relayer(layers);
    if (this.open) this.#disks.checkLoaded(this.#known(snapshotId), this.open);
    this.#disks.checkPower(runs, this.open?.atMs ?? 0);
    this.current = snapshotId;
    if (this.hold) this.hold = this.hold.leftovers.size === 0 ? null : { ...this.hold, isTorn: false };
    this.#end();
  }

  #deleted({ snapshotId, layers }: DataOf<'SnapshotDeleted'>): void {
    this.#relayer(layers);
    if (snapshotId !== null) this.#forget(snapshotId);
    const isLeft = [...this.snapshots.values()].some(({ status }) => status === 'deleting');
    must(!isLeft, 'I15', () => 'a delete ended and left one of its targets');
    this.#end();
  }

  #failed({ type, data }: Failure): void {
    const isHeld = data.outcome === 'held';
    const tag = type === 'CreateFailed' ? tagOf(data.snapshotId) : null;
    if (type === 'CreateFailed') this.snapshots.delete(data.snapshotId);
    for (const known of this.snapshots.values())
      if (known.status === 'deleting') known.status = isHeld ? 'suspect' : known.before;
    const leftovers = data.leftovers.map(({ file, tag }) => `${file} ${tag}`);
    this.#disks.expect(leftovers);
    this.#relayer(data.layers);
    if (isHeld) {
      const earlier = this.hold?.leftovers ?? [];
      this.hold = { isTorn: type === 'LoadFailed', leftovers: new Set([...earlier, ...leftovers]) };
      if (type === 'LoadFailed') this.current = data.snapshotId;
    } else {
      must(leftovers.length === 0, 'rule 6', () => `${type} is undone, and yet has leftovers`);
      this.#disks.checkUndone(tag);
    }
    if (type === 'CreateFailed' && this.open) this.#disks.hasDiverged(this.open);
    if (this.open?.pinId && !this.snapshots.has(this.open.pinId)) this.#disks.fade(tagOf(this.open.pinId));
    this.#end();
  }

  #leftoverRemoved({ file, tag }: DataOf<'LeftoverRemoved'>): void {
    this.#disks.checkRemoved(file, tag);
    this.hold?.leftovers.delete(`${file} ${tag}`);
    if (this.hold?.leftovers.size === 0 && !this.hold.isTorn) this.hold = null;
  }

  #relayer(change: Change | undefined): void {
    if (!change) return;
    this.#layers.change(change);
    for (const { snapshotId, device, file } of change.contents) {
      const known = this.snapshots.get(snapshotId);
      const disk = known?.disks.get(device);
      if (disk) known?.disks.set(device, { ...disk, file });
    }
    this.#disks.lookForStrays(this.open?.atMs ?? 0);
  }

  #stands(id: string, status: Known['status']): void {
    this.#known(id).status = status;
  }

  #forget(id: string): void {
    const known = this.#known(id);
    this.#disks.checkDeleted(known);
    for (const other of this.snapshots.values()) if (other.parentId === id) other.parentId = known.parentId;
    if (this.current === id) this.current = known.parentId;
    this.snapshots.delete(id);
  }

  #end(): void {
    if (this.open) this.#ended.add(this.open.id);
    this.open = null;
    this.#hasEnded = true;
  }

  /** When an operation has ended, all that is whole is as it always was, and so is the present. Throws a `Violation`. */
  checkEnd(): void {
    if (!this.#hasEnded) return;
    this.#hasEnded = false;
    this.#disks.forgive();
    this.#disks.checkContents(this.snapshots.values());
    if (!this.hold?.isTorn) this.#disks.checkPresent();
  }

  #known(id: string): Known {
    const known = this.snapshots.get(id);
    if (!known) throw new Violation('I16', `nothing is known of snapshot ${id}`);
    return known;
  }

  /** Nothing of ours may move on a disk unless the log has said so before. */
  #watch(change: 'add' | 'remove' | 'revert', entry: SnapshotEntry, image: Image): void {
    const id = entry.name.startsWith(PREFIX) ? entry.name.slice(PREFIX.length) : null;
    const { open } = this;
    if (id === null || this.#isCopy(image)) return;
    const isOwn = [open?.snapshotId, open?.pinId, ...(open?.targets ?? [])].includes(id);
    if (change === 'remove' && this.#isOldPin(id)) this.#disks.fade(entry.name);
    const isMoved = isOwn && open !== null && open.started !== null;
    const isAllowed = {
      add: isMoved && (open.kind === 'create' || open.pinId === id),
      remove: isMoved || this.#disks.isExpected(image.path, entry.name) || this.#isOldPin(id),
      revert: isMoved && open.kind === 'load',
    }[change];
    must(
      isAllowed,
      'I19',
      () => `${change} of ${entry.name} on ${image.path}, which the log knows nothing of`,
    );
  }

  /** A machine that is started before a load is over writes on what the load has saved of it already. */
  #booted(): void {
    const pin = this.snapshots.get(this.open?.pinId ?? '');
    if (pin) this.#disks.isThawed(pin);
  }

  /** A load makes copies of layers, with all that is inside. */
  #isCopy({ path }: Image): boolean {
    return this.open?.started?.overlays?.some(({ file, by }) => file === path && by === 'copy') ?? false;
  }

  /** A load that is over removes earlier pins. */
  #isOldPin(id: string): boolean {
    return this.open?.kind === 'load' && this.open.started !== null && this.#pins.has(id);
  }

  /** Nothing is unlinked that the log does not name first. */
  #watchUnlink(path: string): void {
    const { started, pinId } = this.open ?? {};
    const { unlinks = [], overlays = [], backups = [], memoryFile } = started ?? {};
    const made = [...overlays.map(({ file }) => file), ...backups.map(({ target }) => target)];
    const isNamed =
      [...unlinks, ...made].includes(path) ||
      (memoryFile !== undefined && path.startsWith(memoryFile.file)) ||
      (typeof pinId === 'string' && started !== null && path.includes(tagOf(pinId))) ||
      this.#disks.isExpected(path, '');
    must(isNamed, 'I19', () => `${path} is unlinked, and the log did not name it`);
  }
}

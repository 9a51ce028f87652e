import type { DataOf, VmEvent } from '#ledger';
import { Disks } from './disks.ts';
import { type EventOf, isBlurred, type Known, leftAlone, type Open, requireOpen, tagOf } from './known.ts';
import { type Change, Layers } from './layers.ts';
import type { LoggedEvent } from './logged-event.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import * as rules from './rules.ts';
import { Snapshots } from './snapshots.ts';
import { heldAfterLoad, heldBy, heldWithout, type Hold } from './standing.ts';
import { must } from './violation.ts';
import { Watchman } from './watchman.ts';

type Failure = EventOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>;

/** What the log has said of one VM, kept in the simplest way, and held against its disks event by event. */
export class Book {
  readonly vm: SimulatedVm;
  /** Copies of disks that creates have made. */
  readonly copies = new Set<string>();
  current: string | null = null;
  open: Open | null = null;
  hold: Hold | null = null;
  readonly #layers: Layers;
  readonly #disks: Disks;
  readonly #known = new Snapshots();
  readonly #ended = new Set<string>();
  #hasEnded = false;

  constructor(vm: SimulatedVm) {
    this.vm = vm;
    this.#layers = new Layers(vm);
    this.#disks = new Disks(vm, this.#layers);
    new Watchman(this.#disks, () => this.open).standBeside(vm);
    // A machine that is started before a load is over writes on what the load has saved of it already.
    vm.onBoot = () => this.#disks.isThawed(this.snapshots.get(this.open?.pinId ?? ''));
  }

  get snapshots(): ReadonlyMap<string, Known> {
    return this.#known.all;
  }

  get devices(): string[] {
    return this.#layers.devices;
  }

  /** What went wrong and could not be known or prevented, and how often. */
  get limits(): ReadonlyMap<string, number> {
    return this.#disks.limits.counted(this.vm.images);
  }

  /** Throws a `Violation`. */
  enter({ type, data }: LoggedEvent, atMs: number): void {
    const event = { type, data } as VmEvent;
    this.#disks.limits.hear(event);
    if ('operationId' in event.data)
      requireOpen(event.type, event.data.operationId, { open: this.open, ended: this.#ended });
    this.#take(event, atMs);
    const { current } = this;
    must(current === null || this.snapshots.has(current), 'I5', () => `current ${current} is gone`);
    for (const [id, { parentId }] of this.snapshots) {
      const hasParent = parentId === null || this.snapshots.has(parentId);
      must(hasParent, 'I4', () => `${id} has lost its parent ${parentId}`);
    }
  }

  /** When nothing is under way any more. Throws a `Violation`. */
  checkQuiet(): void {
    must(this.open === null, 'I3', () => `${this.open?.kind} ${this.open?.id} never ended`);
    this.#disks.checkContents(this.snapshots.values());
    if (this.hold?.isTorn) return;
    this.#disks.checkFiles(this.snapshots, this.copies);
    this.#disks.checkRest();
    this.#disks.checkPresent();
    this.#layers.checkHeaders();
    if (!this.#disks.limits.hasStrays) this.#layers.checkChains();
  }

  /** Whether something holds the machine that the worker can remove. */
  get isToBeCleared(): boolean {
    return [...(this.hold?.leftovers ?? [])].some((left) => this.#disks.isRemovable(left));
  }

  get #believed(): rules.Believed {
    const { current, hold, snapshots } = this;
    return { current, hold, snapshots, stoodOn: this.#layers.stoodOn, pins: this.#disks.limits.pins };
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
      case 'ContentLoaded':
        return this.#contentLoaded(event.data);
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
        return this.#known.stands(event.data.snapshotId, 'retired');
      case 'SnapshotUnretired':
        return this.#known.stands(event.data.snapshotId, 'complete');
      case 'DriftFound':
        for (const { snapshotId, status } of event.data.standings) this.#known.stands(snapshotId, status);
        if (event.data.stopped) this.vm.isMeantToRun = false;
        return this.#disks.hear(event.data.findings);
      case 'RepairStarted':
        return this.#disks.expect(event.data.orphans.map(({ file, tag = '' }) => `${file} ${tag}`));
      case 'SnapshotAdopted':
        return this.#known.adopted(event.data);
      case 'VmChanged':
      case 'VmForgotten':
      case 'SnapshotRenamed':
      case 'SnapshotDescribed':
      case 'SnapshotLabelled':
      case 'SnapshotProtected':
      case 'SnapshotUnprotected':
        return; // Nothing that a disk could tell.
    }
    event satisfies never;
  }

  #requested(data: DataOf<'SnapshotRequested'>, atMs: number): void {
    const { snapshotId, parentId, disks } = data;
    rules.requireCreate(data, this.#believed);
    this.#known.add(snapshotId, parentId, { status: 'pending', tag: tagOf(snapshotId) });
    const kept = this.#known.of(snapshotId).disks;
    for (const { device, mode } of disks) kept.set(device, { mode, file: null, truth: null });
    this.#begin('create', data, { atMs });
  }

  /** Memory that comes back to disks that were never captured with it is what its owner wanted. */
  #toLoad(data: DataOf<'LoadRequested'>, atMs: number): void {
    const known = this.#known.of(data.snapshotId);
    rules.requireLoad(data, known, this.#believed);
    const kept = (device: string) => (known.disks.get(device)?.mode ?? 'none') !== 'none';
    const isThawed = this.#disks.isThawed(known) || isBlurred(known);
    for (const device of isThawed || (known.memory && !data.disksOnly) ? this.devices : [])
      if (isThawed || !kept(device)) this.vm.guest.forgiven.add(device);
    if (data.pin) this.#disks.limits.pins.add(tagOf(data.pin.snapshotId));
    this.#begin('load', data, { pinId: data.pin?.snapshotId ?? null, atMs });
  }

  #doomed(data: DataOf<'DeleteRequested'>, atMs: number): void {
    rules.requireDelete(data, this.#believed);
    for (const id of data.targets) {
      const known = this.#known.of(id);
      known.before = known.status;
      known.status = 'deleting';
    }
    this.#begin('delete', data, { targets: data.targets, atMs });
  }

  #begin(
    kind: Open['kind'],
    { operationId: id, snapshotId }: Pick<DataOf<'DeleteRequested'>, 'operationId' | 'snapshotId'>,
    { targets = [], pinId = null, atMs }: Partial<Pick<Open, 'targets' | 'pinId'>> & Pick<Open, 'atMs'>,
  ): void {
    const atInstant = this.vm.guest.instant;
    this.open = { id, kind, snapshotId, pinId, targets, atMs, atInstant, isLoaded: false, started: null };
  }

  #started(data: DataOf<'OperationStarted'>): void {
    if (this.open) this.open.started = data;
    if (this.open?.kind === 'load') for (const file of data.unlinks ?? []) this.#layers.mayGo.add(file);
    this.#disks.begin(data, this.hold);
  }

  #captured(data: DataOf<'SnapshotCreated'> | DataOf<'SnapshotPinned'>): void {
    const known = this.#known.captured(data);
    if (!this.open) return;
    Object.assign(known, this.#disks.checkCaptured(known, data.memory, this.open), { status: 'complete' });
  }

  #created(data: DataOf<'SnapshotCreated'>): void {
    this.#relayer(data.layers);
    this.#captured(data);
    if (this.open && data.layers) this.#disks.forgiveReaders(this.open);
    for (const { target } of data.backups ?? []) this.copies.add(target);
    this.current = data.snapshotId;
    this.#end();
  }

  #pinned(data: DataOf<'SnapshotPinned'>): void {
    rules.requireParent(data.parentId, this.#believed);
    this.#known.add(data.snapshotId, data.parentId, { status: 'pending', tag: tagOf(data.snapshotId) });
    const known = this.#known.of(data.snapshotId);
    for (const { device, mode } of data.disks) known.disks.set(device, { mode, file: null, truth: null });
    this.#relayer(data.layers);
    this.#captured(data);
  }

  #contentLoaded({ snapshotId, layers }: DataOf<'ContentLoaded'>): void {
    this.#relayer(layers);
    const { open } = this;
    if (!open) return;
    must(!open.isLoaded, 'I17', () => `the content of ${snapshotId} is in place a second time`);
    const atInstant = this.#disks.checkInPlace(this.#known.of(snapshotId), open);
    Object.assign(open, { isLoaded: true, atInstant });
  }

  #loaded({ snapshotId, runs, layers }: DataOf<'SnapshotLoaded'>): void {
    this.#relayer(layers);
    if (this.open) this.#disks.checkLoaded(this.#known.of(snapshotId), this.open);
    this.#disks.checkPower(runs, this.open?.atMs ?? 0);
    this.current = snapshotId;
    this.hold = heldAfterLoad(this.hold);
    this.#end();
  }

  #deleted({ snapshotId, layers }: DataOf<'SnapshotDeleted'>): void {
    this.#relayer(layers);
    if (snapshotId !== null) this.#forget(snapshotId);
    for (const { tag, status } of this.snapshots.values())
      must(status !== 'deleting', 'I15', () => `a delete ended and left ${tag}`);
    this.#end();
  }

  #failed({ type, data }: Failure): void {
    const isHeld = data.outcome === 'held';
    const tag = type === 'CreateFailed' ? tagOf(data.snapshotId) : null;
    if (type === 'CreateFailed') this.#known.all.delete(data.snapshotId);
    for (const known of this.snapshots.values())
      if (known.status === 'deleting') known.status = isHeld ? 'suspect' : known.before;
    const leftovers = data.leftovers.map(({ file, tag }) => `${file} ${tag}`);
    this.#disks.expect([...leftovers, ...leftAlone(data.steps)]);
    if (isHeld) {
      this.hold = heldBy(leftovers, type === 'LoadFailed', this.hold);
      if (type === 'LoadFailed') this.current = data.snapshotId;
    } else {
      must(leftovers.length === 0, 'rule 6', () => `${type} is undone, and yet has leftovers`);
      this.#disks.checkUndone(tag);
    }
    this.#relayer(data.layers);
    if (this.open) this.#lookBehind(this.open, data);
    this.#end();
  }

  #lookBehind(open: Open, { message }: Failure['data']): void {
    if (open.kind === 'create') this.#disks.lookBehindCreate(message, open);
    if (open.pinId !== null && !this.snapshots.has(open.pinId)) this.#disks.checkUndone(tagOf(open.pinId));
  }

  #leftoverRemoved({ file, tag }: DataOf<'LeftoverRemoved'>): void {
    this.#disks.checkRemoved(file, tag);
    this.hold = heldWithout(`${file} ${tag}`, this.hold);
  }

  #relayer(change?: Change): void {
    if (!change) return;
    this.#known.relayered(change, this.#layers, (file) => this.#disks.isAstray(file));
    this.#disks.lookForStrays(this.open?.atMs ?? 0, this.hold !== null);
  }

  #forget(id: string): void {
    rules.requireReplaced(id, this.open, this.#believed);
    const known = this.#known.forget(id);
    this.#disks.letGo(known, this.open?.kind === 'load');
    if (this.current === id) this.current = known.parentId;
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
}

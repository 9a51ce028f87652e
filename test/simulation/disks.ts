import type { DataOf } from '#ledger';
import { Capture, type Memory } from './capture.ts';
import { isWhole, type Known, type KnownDisk, type Open, PREFIX } from './known.ts';
import type { Layers } from './layers.ts';
import { Limits } from './limits.ts';
import type { Hold } from './standing.ts';
import { OnDisk } from './on-disk.ts';
import { isSame, over } from './qemu/content.ts';
import type { Image } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

/** What really stands on the disks of one VM, for comparison with what the log says. All checks throw `Violation`. */
export class Disks {
  readonly #vm: SimulatedVm;
  readonly #layers: Layers;
  /** Tags of pins that a load has let go and not removed, until somebody says so. */
  readonly #untold = new Set<string>();
  /** What may stand there although no snapshot claims it, for the log has named it: `<file> <tag>`. */
  readonly #expected = new Set<string>();
  /** What went wrong beside all that, and could not be known or prevented. */
  readonly limits = new Limits();
  readonly #found: OnDisk;

  constructor(vm: SimulatedVm, layers: Layers) {
    this.#vm = vm;
    this.#layers = layers;
    this.#found = new OnDisk(vm, layers, this.limits);
  }

  /** These may stay behind from now on. */
  expect(leftovers: Iterable<string>): void {
    for (const leftover of leftovers) this.#expected.add(leftover);
  }

  isExpected(path: string, tag: string): boolean {
    return this.#expected.has(`${path} ${tag}`);
  }

  /** Whoever lifts a hold has looked, and takes disks and machine as they are. */
  accept(): void {
    const { machine, guest, images } = this.#vm;
    this.#vm.isMeantToRun = machine?.isRunning ?? false;
    for (const image of images) this.#vm.acceptedDisks.add(image);
    for (const device of this.#layers.devices) guest.view.set(device, this.#found.present(device));
    this.#leaveOnPlaceholders();
  }

  /** What a load that ended in its middle has taken from a machine is left to that person, too. */
  #leaveOnPlaceholders(): void {
    for (const { id, node } of this.#vm.machine?.graph.devices ?? []) {
      const top = this.#layers.tops.get(id);
      if (!node.image && top !== undefined) this.limits.leaveEmpty(node, top);
    }
  }

  /** Whether a machine has the tag on top, in plain sight: whoever asks QEMU to remove it is obeyed. */
  isRemovable(left: string): boolean {
    const { machine } = this.#vm;
    return (machine?.graph.devices ?? []).some(({ node }) => {
      const listed = machine?.tableOf(node) ?? [];
      return !node.isReadOnly && listed.some(({ name }) => left === `${node.image?.path} ${name}`);
    });
  }

  /** A capture that is complete: what it must hold for ever. */
  checkCaptured(known: Known, memory: Memory, open: Open): Pick<Known, 'disks' | 'memory'> {
    // It was started between the look at a machine that was off, and the word that its present is saved.
    if (open.kind === 'load' && this.#vm.machine && this.#vm.lastTouchedMs >= open.atMs) this.isThawed(known);
    return new Capture(this.#vm, this.#found, this.limits, open).check(known, memory);
  }

  /**
   * A machine that was started from below the overlays and died again before it wrote anything there: no file tells of it,
   * and nothing of it is lost when what is in the overlays goes down again, or is where the machine has gone on.
   */
  forgiveReaders({ atMs, started }: Pick<Open, 'atMs' | 'started'>): void {
    const { guest, machine, lastTouchedMs } = this.#vm;
    if (machine || lastTouchedMs < atMs) return;
    const above = started?.overlays?.map(({ device }) => device) ?? this.#layers.devices;
    const isWritten = [...above].some((device) => guest.written.has(device));
    if (isWritten && !this.limits.isUnseen(this.#vm, atMs)) return;
    for (const device of this.#layers.devices) guest.forgiven.add(device);
  }

  /** What was forgiven is over: whatever is there now counts. */
  forgive(): void {
    must(this.#untold.size === 0, 'I15', () => `let go, and still there: ${[...this.#untold].join(', ')}`);
    const { guest } = this.#vm;
    for (const device of guest.forgiven) guest.view.set(device, this.#found.present(device));
    guest.forgiven.clear();
  }

  /** All is in place, and nothing has run on it yet, unless somebody else has let it. Tells what came before that. */
  checkInPlace(known: Known, { atInstant, atMs }: Pick<Open, 'atInstant' | 'atMs'>): number {
    const { machine, lastTouchedMs, guest } = this.#vm;
    const isAlone = lastTouchedMs < atMs;
    must(!isAlone || !machine?.isRunning, 'I17', () => `the guest runs before ${known.tag} is in place`);
    const before = isAlone ? guest.instant : atInstant;
    this.checkLoaded(known, { atInstant: before });
    return before;
  }

  /** What was written since a load began, or had its content in place, is the guest's own. */
  checkLoaded(known: Known, { atInstant }: Pick<Open, 'atInstant'>): void {
    const { guest, machine } = this.#vm;
    const { tag, disks } = known;
    const isThawed = this.isThawed(known);
    for (const [device, { truth, file }] of disks) {
      if (!truth) continue;
      const isAny = isThawed || [file, this.#layers.tops.get(device)].some((one) => this.isAstray(one ?? ''));
      const found = this.#found.present(device);
      const isLoaded = isAny || found.every((value, block) => value === truth[block] || value > atInstant);
      must(isLoaded, 'I17', () => {
        return `${device} was not taken back to ${tag}: it holds ${found.join(' ')}, not ${truth.join(' ')}`;
      });
      if (!machine) guest.view.set(device, found);
    }
  }

  /** An operation begins. Whoever let the guest run on torn disks before is to blame for what it found there. */
  begin(data: DataOf<'OperationStarted'>, hold: Hold | null): void {
    this.limits.make(data);
    if (hold?.isTorn) this.#vm.guest.startled = null;
  }

  /** A machine that nobody else touched since `sinceMs` is as the log says; from now on it is meant to be as it is. */
  checkPower(runs: boolean, sinceMs: number): void {
    const { machine, lastTouchedMs } = this.#vm;
    if (!machine) return;
    must(lastTouchedMs >= sinceMs || machine.isRunning === runs, 'I17', () => {
      return `the load says that the guest ${runs ? 'runs' : 'rests'}, but it is ${machine.status}`;
    });
    this.#vm.isMeantToRun = machine.isRunning;
  }

  /** What is there of a snapshot that should be gone, as leftovers are called. */
  leftOf({ tag, disks }: Known): string[] {
    return [...disks.values()].flatMap(({ file, mode }) => {
      const isThere = mode === 'internal' && file !== null && this.#found.entriesIn(file, tag).length > 0;
      return isThere ? [`${file} ${tag}`] : [];
    });
  }

  /** What could not be removed of an earlier pin is told as drift, before the load ends that lets go of it. */
  letGo(known: Known, isOfLoad: boolean): void {
    const left = this.leftOf(known);
    must(isOfLoad || left.length === 0, 'I15', () => `deleted, and still there: ${left.join(', ')}`);
    for (const one of left) this.#untold.add(one);
  }

  hear(findings: DataOf<'DriftFound'>['findings']): void {
    for (const { file, tag } of findings) this.#untold.delete(`${file} ${tag}`);
  }

  /** As if nothing had been asked. */
  checkUndone(tag: string | null): void {
    for (const image of tag === null ? [] : this.#vm.images) {
      const isThere =
        image.snapshots.some(({ name }) => name === tag) && !this.isExpected(image.path, tag ?? '');
      must(!isThere, 'I14', () => `the create is undone, but ${image.path} still has its tag`);
    }
  }

  checkRemoved(file: string, tag: string): void {
    must(
      this.#found.entriesIn(file, tag).length === 0,
      'I2',
      () => `${tag} is said to be removed, but ${file} has it`,
    );
    this.#expected.delete(`${file} ${tag}`);
  }

  /** Every snapshot that is whole holds what it always held. */
  checkContents(known: Iterable<Known>): void {
    for (const snapshot of known) {
      if (!isWhole(snapshot) || this.isThawed(snapshot) || this.limits.faded.has(snapshot.tag)) continue;
      for (const [device, disk] of snapshot.disks) this.#checkContent(snapshot, device, disk);
      const { memory, tag } = snapshot;
      if (memory?.serial === null || !memory) continue;
      const { serial } = this.#found.memoryIn(memory.file, tag, memory.isStream);
      must(serial === memory.serial, 'I14', () => `${memory.file} holds another memory than that of ${tag}`);
    }
  }

  /**
   * What a load was about to leave, and did not: the machine writes on it again. The ledger lets nobody load it as long
   * as that is so, and a look for drift calls it suspect.
   */
  isThawed(known: Known | undefined): boolean {
    if (!known) return false;
    const { tag, disks } = known;
    const tops = new Set(this.#layers.tops.values());
    const isWritten = [...disks.values()].some(
      ({ mode, file }) => mode === 'external' && tops.has(file ?? ''),
    );
    if (isWritten) this.limits.thawed.add(tag);
    return this.limits.thawed.has(tag);
  }

  #checkContent({ tag }: Known, device: string, { mode, file, truth }: KnownDisk): void {
    if (mode === 'none' || file === null || !truth) return;
    const { files, shelf } = this.#vm.host;
    const image = files.image(file);
    must(image !== undefined, 'I14', () => `${file}, which holds ${device} of ${tag}, is gone`);
    const entry = mode === 'internal' ? this.#found.onlyEntry(device, file, tag) : null;
    if (entry?.isDamaged || this.isAstray(file)) return;
    const found = entry ? over(entry.content, shelf.below(image)) : shelf.read(image);
    must(isSame(found, truth), 'I14', () => {
      return `${device} of ${tag} holds ${found.join(' ')}, and held ${truth.join(' ')}`;
    });
  }

  /** What the guest would read is what it wrote. */
  checkPresent(): void {
    const { guest, machine } = this.#vm;
    if (machine?.status === 'inmigrate') return;
    must(guest.startled === null, 'I17', () => `the guest found its disks changed: ${guest.startled}`);
    for (const [device, top] of this.#layers.tops) {
      const remembered = guest.view.get(device);
      if (!remembered || this.isAstray(top)) continue;
      const found = this.#found.present(device);
      must(isSame(found, remembered), 'I17', () => {
        return `${device} holds ${found.join(' ')}, and the guest has left ${remembered.join(' ')}`;
      });
    }
  }

  /** The layers were said to be others: a machine that was started meanwhile, from what they were, goes on there. */
  lookForStrays(sinceMs: number, isHeld: boolean): void {
    const { machine, lastTouchedMs } = this.#vm;
    for (const { id, node } of machine?.graph.devices ?? []) {
      const path = node.image?.path ?? '';
      const top = this.#layers.tops.get(id);
      const isPlaceholder = this.limits.isLeftEmpty(node, isHeld) && !machine?.isRunning;
      if (path === top || isPlaceholder) continue;
      must(lastTouchedMs >= sinceMs, 'I14', () => `${id} stands on ${path}, the log says on ${top}`);
      this.limits.astray.add(path);
      if (top !== undefined) this.limits.astray.add(top);
    }
  }

  /** A create has failed, and this is why. */
  lookBehindCreate(message: string, open: Open): void {
    this.forgiveReaders(open);
    if (message.includes('was written after')) this.limits.checkWritten(open, this.#vm);
    if (message.includes('was started after')) this.limits.checkStarted(open, this.#vm);
  }

  /** Nothing of ours is there but what the log knows. */
  checkFiles(known: ReadonlyMap<string, Known>, copies: ReadonlySet<string>): void {
    const tags = new Set([...known.values()].map(({ tag }) => tag));
    for (const image of this.#vm.images) this.#checkTags(image, tags);
    const memories = new Set([...known.values()].map(({ memory }) => memory?.file));
    for (const name of this.#vm.host.files.list(this.#vm.directory)) {
      const path = `${this.#vm.directory}/${name}`;
      const isKept = this.#layers.has(path) || memories.has(path) || copies.has(path);
      const isEmpty = this.#vm.host.files.stat(path)?.sizeBytes === 0;
      const isNamed = isEmpty && this.limits.named.has(path);
      const isKnown = isKept || isNamed || [...this.limits.pins].some((tag) => name.startsWith(tag));
      must(isKnown || this.isExpected(path, ''), 'I2', () => `nobody knows anything of ${path}`);
    }
  }

  #checkTags({ path, snapshots }: Image, tags: ReadonlySet<string>): void {
    const { faded, pins, layerCopies } = this.limits;
    const isLeftover = !this.#layers.has(path) && this.isExpected(path, '');
    if (layerCopies.has(path) || isLeftover) return;
    for (const { name } of snapshots) {
      const isOurs = name.startsWith(PREFIX) && !faded.has(name) && !pins.has(name);
      must(!isOurs || tags.has(name) || this.isExpected(path, name), 'I2', () => {
        return `${path} has ${name}, of which the ledger knows nothing`;
      });
    }
  }

  /** None is half reverted, and the guest runs if it is meant to. */
  checkRest(): void {
    const { machine, isMeantToRun, name, torn, guest } = this.#vm;
    must(!torn[0], 'I17', () => `${torn[0]?.path} was left half reverted, and nobody mended it`);
    const isAsMeant = !machine || machine.isRunning === isMeantToRun || this.limits.hasStrays;
    must(isAsMeant, 'I17', () => {
      return `${name} is ${machine?.status}, its owner wants it ${isMeantToRun ? 'running' : 'stopped'}`;
    });
    must(
      !machine?.isRunning || !guest.isFrozen || this.limits.isFrozenKnown,
      'I17',
      () => `the guest of ${name} was left frozen`,
    );
  }

  /** Whether nobody can tell by the log what is read from a file. */
  isAstray(file: string): boolean {
    return this.limits.hasStrays && this.#layers.chainUnder(file).some((one) => this.limits.isAstray(one));
  }
}

import type { DataOf } from '#ledger';
import { isWhole, type Known, type KnownDisk, type KnownMemory, type Open, PREFIX } from './known.ts';
import type { Layers } from './layers.ts';
import { type Content, isSame, over, type SavedMemory } from './qemu/content.ts';
import type { Image, SnapshotEntry } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

/** A disk as it was captured: what it held, and when. */
interface Taken {
  readonly device: string;
  readonly file: string;
  readonly truth: Content;
  readonly instant: number;
}

/** What really stands on the disks of one VM, for comparison with what the log says. All checks throw `Violation`. */
export class Disks {
  readonly #vm: SimulatedVm;
  readonly #layers: Layers;
  /** What may stand there although no snapshot claims it, for the log has named it: `<file> <tag>`. */
  readonly #expected = new Set<string>();
  /** Disks of which a person has said that they are fine as they are. */
  readonly #accepted = new Set<Image>();
  /** Files that a machine writes on which was started before the log told that they are frozen: nobody's fault. */
  readonly #astray = new Set<string>();

  /** Captures of which nobody can tell that they are none. */
  #divergedCount = 0;
  /** Tags of all that loads have saved. An earlier one may be removed any time, in part. */
  readonly pins = new Set<string>();
  /** Files that loads have copied with all that was inside. */
  readonly layerCopies = new Set<string>();
  /** Tags of pins of which a part may be there or gone. */
  readonly #faded = new Set<string>();
  /** Tags of snapshots whose layer the machine has gone on in. */
  readonly #thawed = new Set<string>();

  constructor(vm: SimulatedVm, layers: Layers) {
    this.#vm = vm;
    this.#layers = layers;
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
    for (const image of images) this.#accepted.add(image);
    for (const device of this.#layers.devices) guest.view.set(device, this.#present(device));
  }

  /** Complete means: every disk of one instant, and the memory of the same instant exactly once if there is any. */
  checkCaptured(
    { tag, disks }: Known,
    memory: DataOf<'SnapshotCreated'>['memory'],
    open: Open,
  ): { disks: Map<string, KnownDisk>; memory: KnownMemory | null } {
    if (open.kind === 'create' && this.hasDiverged(open)) {
      const { file } = memory;
      return { disks, memory: file === undefined ? null : { file, isStream: false, serial: null } };
    }
    const taken = [...disks].flatMap(([device, { mode, file }]) =>
      mode === 'none' || file === null
        ? []
        : [this.#taken(device, { mode, file, tag, isOff: open.started?.vmState === 'shutoff' })],
    );
    const instants = new Set(taken.map(({ instant }) => instant));
    must(instants.size <= 1, 'I1', () => `${tag} holds disks of ${instants.size} different instants`);
    const entries = taken.flatMap(({ file }) => this.#entriesIn(file, tag));
    const inside = entries.filter((entry) => entry.memory !== null).length;
    const isInside = memory.mode === 'internal' && memory.file === undefined;
    must(inside === (isInside ? 1 : 0), 'I1', () => `${inside} disks hold memory of ${tag}`);
    const where = memory.file ?? taken.find(({ device }) => device === memory.device)?.file ?? '';
    const saved = memory.mode === 'none' ? null : this.#memoryIn(where, tag, memory.format === 'stream');
    for (const { device, truth } of saved ? taken : []) {
      const remembered = saved?.view.get(device);
      must(remembered !== undefined && isSame(remembered, truth), 'I1', () => {
        return `the memory of ${tag} is of another instant than ${device}`;
      });
    }
    return {
      disks: new Map(
        [...disks].map(([device, disk]) => [device, { ...disk, truth: truthIn(taken, device) }]),
      ),
      memory: saved && { file: where, isStream: memory.format === 'stream', serial: saved.serial },
    };
  }

  /**
   * The machine was started in the middle of a capture, from what lies below the new overlays, as the ledger still said.
   * If it dies again before anybody sees it nothing tells that the lower layer was written since.
   */
  hasDiverged({ started, atMs }: Pick<Open, 'started' | 'atMs'>): boolean {
    const { overlays = [], vmState } = started ?? {};
    if (overlays.length === 0 || this.#vm.lastTouchedMs < atMs) return false;
    const { files } = this.#vm.host;
    const wasWritten = overlays.some(({ backing }) => files.image(backing ?? '')?.frozen === null);
    if (vmState !== 'shutoff' && !wasWritten) return false;
    this.#divergedCount += 1;
    for (const device of this.#layers.devices) this.#vm.guest.forgiven.add(device);
    return true;
  }

  /** An earlier pin was removed in part, or one that the log never had: nobody has said so. */
  fade(tag: string): void {
    this.#faded.add(tag);
  }

  /** What was forgiven is over: whatever is there now counts. */
  forgive(): void {
    const { guest } = this.#vm;
    for (const device of guest.forgiven) guest.view.set(device, this.#present(device));
    guest.forgiven.clear();
  }

  #taken(
    device: string,
    { mode, file, tag, isOff }: { mode: string; file: string; tag: string; isOff: boolean },
  ): Taken {
    if (mode === 'internal') {
      const { truth, instant } = this.#onlyEntry(device, file, tag);
      return { device, file, truth, instant };
    }
    const { shelf, files } = this.#vm.host;
    const image = files.image(file);
    must(image !== undefined, 'I1', () => `${file}, which is to hold ${device} of ${tag}, is not there`);
    const frozen = isOff ? null : image.frozen; // Nothing freezes one of a machine that is off.
    const truth = frozen?.truth ?? shelf.read(image);
    return { device, file, truth, instant: frozen?.instant ?? this.#vm.guest.instant };
  }

  /** What was written since a load began is the guest's own. */
  checkLoaded({ tag, disks }: Known, { atInstant }: Pick<Open, 'atInstant'>): void {
    const { guest, machine } = this.#vm;
    for (const [device, { truth }] of disks) {
      if (!truth || this.#isAstray(this.#layers.tops.get(device) ?? '')) continue;
      const found = this.#present(device);
      const isLoaded = found.every((value, block) => value === truth[block] || value > atInstant);
      must(isLoaded, 'I17', () => {
        return `${device} was not taken back to ${tag}: it holds ${found.join(' ')}, not ${truth.join(' ')}`;
      });
      if (!machine) guest.view.set(device, found);
    }
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

  checkDeleted({ tag, disks }: Known): void {
    for (const [device, { file, mode }] of disks) {
      const isThere = mode === 'internal' && file !== null && this.#entriesIn(file, tag).length > 0;
      must(!isThere, 'I15', () => `${device} still has deleted ${tag}`);
    }
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
      this.#entriesIn(file, tag).length === 0,
      'I2',
      () => `${tag} is said to be removed, but ${file} has it`,
    );
    this.#expected.delete(`${file} ${tag}`);
  }

  /** Every snapshot that is whole holds what it always held. */
  checkContents(known: Iterable<Known>): void {
    for (const snapshot of known) {
      if (!isWhole(snapshot) || this.isThawed(snapshot) || this.#faded.has(snapshot.tag)) continue;
      for (const [device, disk] of snapshot.disks) this.#checkContent(snapshot, device, disk);
      const { memory, tag } = snapshot;
      if (memory?.serial === null || !memory) continue;
      const { serial } = this.#memoryIn(memory.file, tag, memory.isStream);
      must(serial === memory.serial, 'I14', () => `${memory.file} holds another memory than that of ${tag}`);
    }
  }

  /**
   * What a load was about to leave, and did not: the machine writes on it again. The ledger lets nobody load it as long
   * as that is so, and a look for drift calls it suspect.
   */
  isThawed({ tag, disks }: Known): boolean {
    const tops = new Set(this.#layers.tops.values());
    const isWritten = [...disks.values()].some(
      ({ mode, file }) => mode === 'external' && tops.has(file ?? ''),
    );
    if (isWritten) this.#thawed.add(tag);
    return this.#thawed.has(tag);
  }

  #checkContent({ tag }: Known, device: string, { mode, file, truth }: KnownDisk): void {
    if (mode === 'none' || file === null || !truth) return;
    const { files, shelf } = this.#vm.host;
    const image = files.image(file);
    must(image !== undefined, 'I14', () => `${file}, which holds ${device} of ${tag}, is gone`);
    const entry = mode === 'internal' ? this.#onlyEntry(device, file, tag) : null;
    if (entry?.isDamaged || this.#isAstray(file)) return;
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
      if (!remembered || this.#isAstray(top)) continue;
      const found = this.#present(device);
      must(isSame(found, remembered), 'I17', () => {
        return `${device} holds ${found.join(' ')}, and the guest has left ${remembered.join(' ')}`;
      });
    }
  }

  /** The layers were said to be others: a machine that was started meanwhile, from what they were, goes on there. */
  lookForStrays(sinceMs: number): void {
    const { machine, lastTouchedMs } = this.#vm;
    for (const { id, node } of machine?.graph.devices ?? []) {
      const path = node.image?.path ?? '';
      const top = this.#layers.tops.get(id);
      if (path === top) continue;
      must(lastTouchedMs >= sinceMs, 'I14', () => `${id} stands on ${path}, the log says on ${top}`);
      this.#astray.add(path);
      if (top !== undefined) this.#astray.add(top);
    }
  }

  get hasStrays(): boolean {
    return this.#astray.size > 0;
  }

  /** Nothing of ours is there but what the log knows. */
  checkFiles(known: ReadonlyMap<string, Known>, copies: ReadonlySet<string>): void {
    const tags = new Set([...known.values()].map(({ tag }) => tag));
    for (const { path, snapshots } of this.#vm.images) {
      for (const { name } of snapshots) {
        const isTold = tags.has(name) || this.isExpected(path, name) || this.#faded.has(name);
        const isKnown = isTold || this.layerCopies.has(path) || this.pins.has(name);
        must(!name.startsWith(PREFIX) || isKnown, 'I2', () => {
          return `${path} has ${name}, of which the ledger knows nothing`;
        });
      }
    }
    const memories = new Set([...known.values()].map(({ memory }) => memory?.file));
    for (const name of this.#vm.host.files.list(this.#vm.directory)) {
      const path = `${this.#vm.directory}/${name}`;
      const isKept = this.#layers.has(path) || memories.has(path) || copies.has(path);
      const isKnown = isKept || [...this.pins].some((tag) => name.startsWith(tag));
      must(isKnown || this.isExpected(path, ''), 'I2', () => `nobody knows anything of ${path}`);
    }
  }

  /** None is half reverted, and the guest runs if it is meant to. */
  checkRest(): void {
    const { machine, isMeantToRun, name, images, guest } = this.#vm;
    for (const image of images) {
      const isMended = image.health !== 'torn' || this.#accepted.has(image);
      must(isMended, 'I17', () => `${image.path} was left half reverted, and nobody mended it`);
    }
    const isAsMeant = !machine || machine.isRunning === isMeantToRun || this.hasStrays;
    must(isAsMeant, 'I17', () => {
      return `${name} is ${machine?.status}, its owner wants it ${isMeantToRun ? 'running' : 'stopped'}`;
    });
    must(!machine?.isRunning || !guest.isFrozen, 'I17', () => `the guest of ${name} was left frozen`);
  }

  /** Without a launcher nobody can fence a machine that is started again. */
  get limits(): Map<string, number> {
    const entries = this.#vm.images.flatMap(({ snapshots }) => snapshots);
    const damaged = entries.filter(({ isDamaged, name }) => isDamaged && name.startsWith(PREFIX)).length;
    const all = {
      'the guest ran on a torn disk': damaged,
      'a machine was started from a layer that was frozen meanwhile': this.#astray.size,
      'a machine has gone on in what a load was to leave': this.#thawed.size,
      'a pin was saved or removed in part, and nobody says so': this.#leftFaded(),
      'a machine was started from below an overlay in use, and died unseen': this.#divergedCount,
    };
    return new Map(Object.entries(all).filter(([, times]) => times > 0));
  }

  #leftFaded(): number {
    const there = new Set(this.#vm.images.flatMap(({ snapshots }) => snapshots.map(({ name }) => name)));
    return [...this.#faded].filter((tag) => there.has(tag)).length;
  }

  #isAstray(file: string): boolean {
    return this.#astray.size > 0 && this.#layers.chainUnder(file).some((one) => this.#astray.has(one));
  }

  /** What is read from a disk now. */
  #present(device: string): Content {
    const { machine, host } = this.#vm;
    const open = machine?.graph.devices.find(({ id }) => id === device);
    if (machine && open?.node.image) return machine.graph.read(open.node); // On a placeholder nobody writes.
    const top = host.files.image(this.#layers.tops.get(device) ?? '');
    must(
      top !== undefined,
      'I14',
      () => `${this.#layers.tops.get(device)}, on which ${device} stands, is not there`,
    );
    return host.shelf.read(top);
  }

  #memoryIn(file: string, tag: string, isStream: boolean): SavedMemory {
    const { files } = this.#vm.host;
    const found = isStream
      ? files.memory(file)
      : this.#entriesIn(file, tag).find((entry) => entry.memory !== null)?.memory;
    must(Boolean(found), 'I1', () => `${file} holds no memory of ${tag}`);
    return found as SavedMemory;
  }

  #entriesIn(file: string, tag: string): SnapshotEntry[] {
    return this.#vm.host.files.image(file)?.snapshots.filter(({ name }) => name === tag) ?? [];
  }

  #onlyEntry(device: string, file: string, tag: string): SnapshotEntry {
    const found = this.#entriesIn(file, tag);
    const [entry] = found;
    must(entry !== undefined && found.length === 1, 'I1', () => {
      return `${device} (${file}) has ${found.length} of ${tag}, which the ledger calls complete`;
    });
    const nodes = this.#vm.machine?.graph.nodes ?? [];
    const isHidden = nodes.some(({ hidden }) => hidden.has(entry));
    must(
      !isHidden || this.pins.has(tag),
      'I1',
      () => `QEMU has forgotten ${tag} on ${device}: its next write there removes it`,
    );
    return entry;
  }
}

const truthIn = (taken: readonly Taken[], device: string): Content | null =>
  taken.find((one) => one.device === device)?.truth ?? null;

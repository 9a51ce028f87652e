import type { Image, SnapshotEntry } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

const PREFIX = 'sl-';
const tagOf = (snapshotId: string): string => `${PREFIX}${snapshotId}`;

/** What really stands on the disks of one VM, for comparison with what the log says. All checks throw `Violation`. */
export class Disks {
  readonly #vm: SimulatedVm;
  /** Files by the device names of the log. */
  #files = new Map<string, string>();
  /** What may stand on a disk although no snapshot claims it, for the log has named it: `<file> <tag>`. */
  readonly #expected = new Set<string>();
  /** What each disk must go back to, since the last load that ended well. */
  readonly #origins = new Map<Image, number>();
  /** Disks of which a person has said that they are fine as they are. */
  readonly #accepted = new Set<Image>();

  constructor(vm: SimulatedVm) {
    this.#vm = vm;
  }

  get devices(): string[] {
    return [...this.#files.keys()];
  }

  name(disks: readonly { readonly device: string; readonly file: string }[]): void {
    this.#files = new Map(disks.map(({ device, file }) => [device, file]));
  }

  /** These may stay behind from now on. */
  expect(leftovers: Iterable<string>): void {
    for (const leftover of leftovers) this.#expected.add(leftover);
  }

  isExpected({ path }: Image, { name }: SnapshotEntry): boolean {
    return this.#expected.has(`${path} ${name}`);
  }

  /** The snapshot that an entry belongs to; null when it is none of ours. */
  ownerOf({ name }: SnapshotEntry): string | null {
    return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : null;
  }

  /** Whoever lifts a hold has looked, and takes disks and machine as they are. */
  accept(): void {
    this.#vm.isMeantToRun = this.#vm.machine?.isRunning ?? false;
    for (const image of this.#vm.images) {
      this.#origins.set(image, image.origin);
      this.#accepted.add(image);
    }
  }

  /** Complete means: on every disk once, all of one instant, and the memory on exactly one if there is any. */
  checkCreated(snapshotId: string, devices: readonly string[], hasMemory: boolean): void {
    const entries = devices.map((device) => this.#onlyEntry(device, snapshotId));
    const instants = new Set(entries.map(({ instant }) => instant));
    must(instants.size <= 1, 'I1', () => `${snapshotId} holds disks of ${instants.size} different instants`);
    const memories = entries.filter(({ memory }) => memory !== null).length;
    must(memories === (hasMemory ? 1 : 0), 'I1', () => `${memories} disks hold memory of ${snapshotId}`);
  }

  checkLoaded(snapshotId: string, devices: readonly string[]): void {
    for (const device of devices) {
      const { serial } = this.#onlyEntry(device, snapshotId);
      const image = this.#imageOf(device);
      must(image?.origin === serial, 'I17', () => `${device} was not reverted to ${snapshotId}`);
      this.#origins.set(image, serial);
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

  checkDeleted(snapshotId: string, devices: readonly string[]): void {
    for (const device of devices) {
      const isThere = this.#imageOf(device)?.snapshots.some(({ name }) => name === tagOf(snapshotId));
      must(!isThere, 'I15', () => `${device} still has deleted ${snapshotId}`);
    }
  }

  /** As if nothing had been asked: nothing was reverted, and of a create nothing is left. */
  checkUndone(createdId: string | null, origins: ReadonlyMap<Image, number>): void {
    for (const image of this.#vm.images) {
      must(image.origin === origins.get(image), 'I14', () => `all is undone, but ${image.path} is reverted`);
      const isThere = createdId !== null && image.snapshots.some(({ name }) => name === tagOf(createdId));
      must(!isThere, 'I14', () => `the create is undone, but ${image.path} still has its tag`);
    }
  }

  /** As if nobody had wanted to delete it. */
  checkKept(snapshotId: string, devices: readonly string[]): void {
    for (const device of devices) this.#onlyEntry(device, snapshotId);
  }

  checkRemoved(file: string, tag: string): void {
    const image = this.#vm.images.find(({ path }) => path === file);
    const isThere = image?.snapshots.some(({ name }) => name === tag);
    must(!isThere, 'I2', () => `${tag} is said to be removed, but ${file} has it`);
    this.#expected.delete(`${file} ${tag}`);
  }

  /** `complete` by id: the devices that must have it. Nothing else of ours may be there, unless it is known. */
  checkTags(complete: ReadonlyMap<string, readonly string[]>, known: ReadonlyMap<string, unknown>): void {
    for (const [id, devices] of complete) this.checkKept(id, devices);
    for (const image of this.#vm.images) {
      for (const entry of image.snapshots) {
        const id = this.ownerOf(entry);
        must(id === null || known.has(id) || this.isExpected(image, entry), 'I2', () => {
          return `${image.path} has ${entry.name}, of which the ledger knows nothing`;
        });
      }
    }
  }

  /** Every disk goes back to the last load, none is half reverted, and the guest runs if it is meant to. */
  checkContent(): void {
    const { images, machine, isMeantToRun, name } = this.#vm;
    for (const image of images) {
      const origin = this.#origins.get(image) ?? 0;
      must(image.origin === origin, 'I17', () => {
        return `${image.path} goes back to #${image.origin}, the ledger believes #${origin}`;
      });
      const isMended = image.health !== 'torn' || this.#accepted.has(image);
      must(isMended, 'I17', () => `${image.path} was left half reverted, and nobody mended it`);
    }
    must(!machine || machine.isRunning === isMeantToRun, 'I17', () => {
      return `${name} is ${machine?.status}, its owner wants it ${isMeantToRun ? 'running' : 'stopped'}`;
    });
  }

  /** Entries that a guest has written over, because it was started on a disk that a dead revert had left torn. */
  get damagedCount(): number {
    const entries = this.#vm.images.flatMap(({ snapshots }) => snapshots);
    return entries.filter((entry) => entry.isDamaged && this.ownerOf(entry) !== null).length;
  }

  #imageOf(device: string): Image | undefined {
    const file = this.#files.get(device);
    return this.#vm.images.find(({ path }) => path === file);
  }

  #onlyEntry(device: string, snapshotId: string): SnapshotEntry {
    const found = this.#imageOf(device)?.snapshots.filter(({ name }) => name === tagOf(snapshotId)) ?? [];
    const [entry] = found;
    must(entry !== undefined && found.length === 1, 'I1', () => {
      return `${device} has ${found.length} of ${tagOf(snapshotId)}, which the ledger calls complete`;
    });
    const isHidden = this.#vm.machine?.disks.some(({ hidden }) => hidden.has(entry)) === true;
    must(
      !isHidden,
      'I1',
      () => `QEMU has forgotten ${entry.name} on ${device}: its next write there removes it`,
    );
    return entry;
  }
}

import type { DataOf } from '#ledger';
import type { Known, KnownDisk, Open } from './known.ts';
import type { Limits } from './limits.ts';
import type { OnDisk } from './on-disk.ts';
import { type Content, isSame, type SavedMemory } from './qemu/content.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

export type Memory = DataOf<'SnapshotCreated'>['memory'];

/** A disk as it was captured: what it held, and from which instant to which it held that. */
interface Taken {
  readonly device: string;
  readonly file: string;
  readonly truth: Content;
  readonly since: number;
  readonly until: number;
}

/** What an operation has captured, as it lies on the disks. */
export class Capture {
  readonly #vm: SimulatedVm;
  readonly #found: OnDisk;
  /** Nothing freezes a disk of a machine that is off, and what a load is about to leave is the present. */
  readonly #isPresent: boolean;
  readonly #isOff: boolean;
  readonly #limits: Limits;

  constructor(
    vm: SimulatedVm,
    found: OnDisk,
    limits: Limits,
    { kind, started }: Pick<Open, 'kind' | 'started'>,
  ) {
    this.#vm = vm;
    this.#found = found;
    this.#limits = limits;
    this.#isOff = kind === 'create' && started?.vmState === 'shutoff';
    this.#isPresent = kind === 'load' || this.#isOff;
  }

  /**
   * Complete means: every disk of one instant, and the memory of the same instant exactly once if there is any. Throws a
   * `Violation`.
   */
  check({ tag, disks }: Known, memory: Memory): Pick<Known, 'disks' | 'memory'> {
    const taken = [...disks].flatMap(([device, disk]) => this.#taken(device, disk, tag));
    const isOfOne =
      Math.max(...taken.map(({ since }) => since)) <= Math.min(...taken.map(({ until }) => until));
    must(isOfOne || taken.length === 0, 'I1', () => `${tag} holds disks of different instants`);
    const isInside = memory.mode === 'internal' && memory.file === undefined;
    const entries = taken.flatMap(({ file }) => this.#found.entriesIn(file, tag));
    const inside = entries.filter((entry) => entry.memory !== null).length;
    must(inside === (isInside ? 1 : 0), 'I1', () => `${inside} disks hold memory of ${tag}`);
    const truths = new Map(taken.map(({ device, truth }) => [device, truth]));
    return {
      disks: new Map(
        [...disks].map(([device, disk]) => [device, { ...disk, truth: truths.get(device) ?? null }]),
      ),
      memory: memory.mode === 'none' ? null : this.#memory(tag, taken, memory),
    };
  }

  #memory(tag: string, taken: readonly Taken[], memory: Memory): Known['memory'] {
    const file = memory.file ?? taken.find(({ device }) => device === memory.device)?.file ?? '';
    const isStream = memory.format === 'stream';
    const saved = this.#found.memoryIn(file, tag, isStream);
    for (const one of taken) requireSameInstant(saved, tag, one);
    return { file, isStream, serial: saved.serial };
  }

  #taken(device: string, { mode, file }: KnownDisk, tag: string): Taken[] {
    if (mode === 'none' || file === null) return [];
    if (mode === 'internal') {
      const { truth, instant, icount } = this.#found.onlyEntry(device, file, tag);
      // qemu-img takes one disk after the other: a machine may run in between, but not write what is still to be taken.
      const since = icount === null ? instant : Math.max(...truth);
      return [{ device, file, truth, since, until: instant }];
    }
    const { shelf, files } = this.#vm.host;
    const image = files.image(file);
    must(image !== undefined, 'I1', () => `${file}, which is to hold ${device} of ${tag}, is not there`);
    const frozen = this.#isPresent ? null : image.frozen;
    if (frozen) return [{ device, file, truth: frozen.truth, since: frozen.instant, until: frozen.instant }];
    // It was started once more from what is frozen now, before the log told so: what it has written cannot be taken back.
    if (!this.#isPresent && this.#limits.isAstray(file)) return [];
    if (this.#isOff && this.#limits.isStartedUnseen(file, this.#vm)) return [];
    const truth = shelf.read(image);
    return [{ device, file, truth, since: Math.max(...truth), until: this.#vm.guest.instant }];
  }
}

function requireSameInstant({ view }: SavedMemory, tag: string, { device, truth }: Taken): void {
  const remembered = view.get(device);
  must(remembered !== undefined && isSame(remembered, truth), 'I1', () => {
    return `the memory of ${tag} is of another instant than ${device}`;
  });
}

import type { DataOf } from '#ledger';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

export type Change = NonNullable<DataOf<'SnapshotLoaded'>['layers']>;

interface Layer {
  readonly backing: string | null;
}

/** Which file stands on which, as the log has said, and whether it is so. All checks throw `Violation`. */
export class Layers {
  readonly #vm: SimulatedVm;
  readonly #layers = new Map<string, Layer>();
  /** Files that a load may unlink when it is over, and sometimes forgets to say so when it dies right then. */
  readonly mayGo = new Set<string>();
  #tops = new Map<string, string>();

  constructor(vm: SimulatedVm) {
    this.#vm = vm;
    vm.tops = () => this.#tops;
  }

  get devices(): string[] {
    return [...this.#tops.keys()];
  }

  /** What the machine is to be started from, by device. */
  get tops(): ReadonlyMap<string, string> {
    return this.#tops;
  }

  /** What the machine stands on, as the log has said. */
  get stoodOn(): ReadonlySet<string> {
    return new Set([...this.#tops.values()].flatMap((top) => this.chainUnder(top)));
  }

  has(file: string): boolean {
    return this.#layers.has(file);
  }

  name(disks: readonly { readonly device: string; readonly file: string }[]): void {
    this.#tops = new Map(disks.map(({ device, file }) => [device, file]));
    for (const { file } of disks) if (!this.#layers.has(file)) this.#layers.set(file, { backing: null });
  }

  change({ gone, set, tops }: Change): void {
    for (const file of gone) this.#layers.delete(file);
    for (const { file, backing } of set) this.#layers.set(file, { backing });
    this.#tops = new Map([...this.#tops, ...tops.map(({ device, file }) => [device, file] as const)]);
    for (const file of gone)
      must(this.#vm.host.files.stat(file) === null, 'I15', () => `${file} is said to be gone, and is there`);
  }

  /** The files from a top down. */
  chainUnder(file: string): string[] {
    const chain: string[] = [];
    for (let next: string | null = file; next !== null; next = this.#layers.get(next)?.backing ?? null)
      chain.push(next);
    return chain;
  }

  /** Every header names what the log says. */
  checkHeaders(): void {
    for (const [file, { backing }] of this.#layers) {
      const image = this.#vm.host.files.image(file);
      if (!image && this.mayGo.has(file)) continue;
      must(image !== undefined, 'I14', () => `the layer ${file} is not there`);
      if (backing === null) continue;
      must(image.backing?.path === backing, 'I14', () => {
        return `${file} stands on ${image.backing?.path ?? 'nothing'}, the log says on ${backing}`;
      });
    }
  }

  /** The machine has open what the log says. */
  checkChains(): void {
    const { machine } = this.#vm;
    for (const { id, node } of machine?.graph.devices ?? []) {
      const open = machine?.graph.chainOf(node).map(({ image }) => image?.path ?? 'nothing') ?? [];
      const known = this.chainUnder(this.#tops.get(id) ?? '');
      const isKnown = known.every((file, at) => open[at] === file);
      must(
        isKnown,
        'I14',
        () => `${id} stands on ${open.join(' on ')}, the log says on ${known.join(' on ')}`,
      );
    }
  }
}

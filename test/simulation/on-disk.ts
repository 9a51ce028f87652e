import type { Layers } from './layers.ts';
import type { Limits } from './limits.ts';
import type { Content, SavedMemory } from './qemu/content.ts';
import type { SnapshotEntry } from './qemu/image.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

/** Finds on the disks of one VM what the log has told of. Throws `Violation` where it is not. */
export class OnDisk {
  readonly #vm: SimulatedVm;
  readonly #layers: Layers;
  readonly #limits: Limits;

  constructor(vm: SimulatedVm, layers: Layers, limits: Limits) {
    this.#vm = vm;
    this.#layers = layers;
    this.#limits = limits;
  }

  /** What is read from a disk now. */
  present(device: string): Content {
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

  memoryIn(file: string, tag: string, isStream: boolean): SavedMemory {
    const { files } = this.#vm.host;
    const found = isStream
      ? files.memory(file)
      : this.entriesIn(file, tag).find((entry) => entry.memory !== null)?.memory;
    must(Boolean(found), 'I1', () => `${file} holds no memory of ${tag}`);
    return found as SavedMemory;
  }

  entriesIn(file: string, tag: string): SnapshotEntry[] {
    return this.#vm.host.files.image(file)?.snapshots.filter(({ name }) => name === tag) ?? [];
  }

  onlyEntry(device: string, file: string, tag: string): SnapshotEntry {
    const found = this.entriesIn(file, tag);
    const [entry] = found;
    must(entry !== undefined && found.length === 1, 'I1', () => {
      return `${device} (${file}) has ${found.length} of ${tag}, which the ledger calls complete`;
    });
    const nodes = this.#vm.machine?.graph.nodes ?? [];
    const isHidden = nodes.some(({ hidden }) => hidden.has(entry));
    must(
      !isHidden || this.#limits.pins.has(tag),
      'I1',
      () => `QEMU has forgotten ${tag} on ${device}: its next write there removes it`,
    );
    return entry;
  }
}

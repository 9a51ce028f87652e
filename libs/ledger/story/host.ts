import type { Command } from '../commands.ts';
import type { DataOf } from '../events.ts';
import { layersOf } from '../delete.ts';
import { changeOf, planLayers } from '../layers.ts';
import type { DiskCapture, DiskEvidence, Layer, LayerChange } from '../shapes.ts';
import { pinsOf, tagOf, type OpenOperation, type Snapshot, type Vm } from '../vm.ts';
import { evidence } from './events.ts';
import { type Content, Files } from './files.ts';

type Opened<K extends OpenOperation['kind']> = Extract<OpenOperation, { readonly kind: K }>;
type Captured = Pick<DataOf<'SnapshotCreated'>, 'vmState' | 'memory' | 'consistency' | 'evidence'> & {
  layers: LayerChange;
};

/** What a snapshot keeps, by disk. */
type Kept = ReadonlyMap<string, Content>;

/**
 * Test-only. A host that carries out what is open, as simply as can be, on files of its own, and says what has become
 * of the layers. It remembers what every snapshot must still read.
 */
export class Host {
  readonly files = new Files();
  readonly kept = new Map<string, Kept>();
  #made = 0;

  constructor({ disks }: Vm) {
    for (const { file } of disks) this.files.create(file, null);
  }

  /** The guest goes on writing. */
  write({ disks }: Vm, at: number): void {
    for (const { file } of disks) {
      this.#made += 1;
      this.files.write(file, at, `${this.#made}`);
    }
  }

  /** What a report can be made of; null when nothing is open. A load is saved first, if it is to be. */
  work(vm: Vm): Command | null {
    const { operation } = vm;
    switch (operation?.kind) {
      case undefined:
        return null;
      case 'create':
        return this.#create(vm, operation);
      case 'load':
        return operation.request.pin && !operation.isPinned
          ? this.#pin(vm, operation)
          : this.#load(vm, operation);
      case 'delete':
        return this.#delete(vm, operation);
    }
  }

  #create(vm: Vm, { id: operationId, snapshotId, request }: Opened<'create'>): Command {
    const created = { ...this.#capture(vm, snapshotId, request.disks), operationId, ...WRITTEN };
    return { type: 'ReportCreated', created };
  }

  #pin(vm: Vm, { id: operationId, request }: Opened<'load'>): Command {
    const disks = vm.disks.map(({ device, default: mode }): DiskCapture => ({
      device,
      mode: mode ?? 'external',
    }));
    const captured = this.#capture(vm, request.pin?.snapshotId ?? '', disks);
    return { type: 'ReportPinned', pinned: { ...captured, operationId, disks } };
  }

  #capture(vm: Vm, id: string, disks: readonly DiskCapture[]): Captured {
    const [traces, layers, kept] = [[] as DiskEvidence[], nothing(), new Map<string, Content>()];
    for (const { device, mode, file: wished } of disks) {
      const top = fileOf(vm, device);
      if (mode !== 'none') kept.set(device, this.files.read(top));
      if (mode === 'internal') {
        this.files.tag(top, tagOf(id));
        traces.push({ ...evidence(id, device), file: top });
      }
      if (mode === 'external') {
        this.#goOn(layers, { device, on: top, file: wished ?? this.#name(device) });
        layers.contents.push({ snapshotId: id, device, file: top });
      }
    }
    this.kept.set(id, kept);
    const memory = { mode: 'none' as const };
    return { vmState: 'running', memory, consistency: 'crash', evidence: traces, layers };
  }

  #load(vm: Vm, { id: operationId, snapshotId }: Opened<'load'>): Command {
    const pins = pinsOf(vm).slice(0, -1);
    const replaced = pins
      .filter(({ id, isProtected }) => id !== snapshotId && !isProtected)
      .map(({ id }) => id);
    const layers = nothing();
    for (const { device, mode, file } of vm.snapshots.get(snapshotId)?.disks ?? []) {
      if (file === undefined || mode === 'none') continue;
      if (mode === 'external') this.#goOn(layers, { device, on: file, file: this.#name(device) });
      else if (file === fileOf(vm, device)) this.files.revert(file, tagOf(snapshotId));
      else this.#goOnCopy(layers, vm, { device, file, tag: tagOf(snapshotId) });
    }
    const remaining = [...vm.snapshots.values()].filter(({ id }) => !replaced.includes(id));
    const plan = planLayers(after(vm, layers), remaining);
    this.#untag(vm, replaced);
    this.files.carryOut(plan);
    layers.gone.push(...changeOf(plan, vm, remaining).gone);
    layers.set = layers.set.filter(({ file }) => !layers.gone.includes(file));
    return { type: 'ReportLoaded', loaded: { operationId, runs: true, layers, ...WRITTEN }, replaced };
  }

  #delete(vm: Vm, { id: operationId, snapshotId, strategy, targets }: Opened<'delete'>): Command {
    const remaining = [...vm.snapshots.values()].filter(({ id }) => !targets.includes(id));
    const going = [...vm.snapshots.values()].filter(({ id }) => targets.includes(id));
    const plan = planLayers(vm, remaining, foldableBy(vm, snapshotId === null ? 'all' : strategy, going));
    this.#untag(vm, targets);
    this.files.carryOut(plan);
    const layers = changeOf(plan, vm, remaining);
    return { type: 'ReportDeleted', deleted: { operationId, layers, ...WRITTEN } };
  }

  #goOn(layers: LayerChange, { device, on, file }: { device: string; on: string; file: string }): void {
    this.files.create(file, on);
    layers.set.push({ device, file, format: 'qcow2', backing: on, origin: 'ours' });
    layers.tops.push({ device, node: `node-${file}`, file, format: 'qcow2' });
  }

  /** A snapshot inside a file that others stand on is loaded from a copy of that file. */
  #goOnCopy(layers: LayerChange, vm: Vm, of: { device: string; file: string; tag: string }): void {
    const copy = this.#name(of.device);
    this.files.copyOf(of.file, of.tag, copy);
    const layer = vm.layers.get(of.file) as Layer;
    layers.set.push({ ...layer, file: copy, origin: 'ours' });
    layers.tops.push({ device: of.device, node: `node-${copy}`, file: copy, format: layer.format });
  }

  #untag({ snapshots }: Vm, ids: readonly string[]): void {
    for (const id of ids) {
      for (const { file } of snapshots.get(id)?.disks ?? []) this.files.untag(file ?? '', tagOf(id));
    }
  }

  #name(device: string): string {
    this.#made += 1;
    return `/images/${device}-${this.#made}.qcow2`;
  }
}

const WRITTEN = { steps: [], transcriptDigest: '' };

const nothing = (): LayerChange => ({ set: [], gone: [], tops: [], contents: [] });

const fileOf = ({ disks }: Vm, device: string): string =>
  disks.find((disk) => disk.device === device)?.file ?? '';

/** Only a merge moves what stays; deleting all moves everything that the machine stands on. */
function foldableBy({ layers }: Vm, strategy: string, going: readonly Snapshot[]): ReadonlySet<string> {
  if (strategy === 'all') return new Set(layers.keys());
  return strategy.startsWith('merge') ? layersOf(going) : new Set();
}

/** The machine as it stands once the change is made. */
function after(vm: Vm, { set, tops }: LayerChange): Pick<Vm, 'layers' | 'disks' | 'backups'> {
  const layers = new Map([...vm.layers, ...set.map((layer) => [layer.file, layer] as const)]);
  const disks = vm.disks.map((disk) => ({ ...disk, ...tops.find(({ device }) => device === disk.device) }));
  return { layers, disks, backups: vm.backups };
}

import type { DataOf } from './events.ts';
import type { Disk, LayerChange } from './shapes.ts';
import type { Vm } from './vm.ts';

/* What events make of the files under a VM's disks. */

/** A file that stands nowhere yet came with the machine. */
export function rewired(vm: Vm, { disks, foreignTags }: DataOf<'DisksChanged'>): Vm {
  if (!vm.operation?.started) keepWhatWasLeft(vm, disks);
  for (const { device, file, format } of disks) {
    if (vm.layers.has(file)) continue;
    vm.layers.set(file, { device, file, format, backing: null, origin: 'given' });
  }
  return Object.assign(vm, { disks, foreignTags });
}

/** What the machine wrote on and somebody else took from it holds data of theirs: it is not ours to throw away. */
function keepWhatWasLeft(vm: Vm, disks: readonly Disk[]): void {
  for (const { file } of vm.disks) {
    const layer = vm.layers.get(file);
    if (!layer || disks.some((disk) => disk.file === file)) continue;
    vm.layers.set(file, { ...layer, origin: 'given' });
  }
}

/** After an operation has made layers and let go of others. */
export function relayered(vm: Vm, change: LayerChange | undefined): Vm {
  if (!change) return vm;
  for (const file of change.gone) vm.layers.delete(file);
  for (const layer of change.set) vm.layers.set(layer.file, layer);
  const tops = new Map(change.tops.map((top) => [top.device, top]));
  vm.disks = vm.disks.map((disk) => ({ ...disk, ...tops.get(disk.device) }));
  for (const { snapshotId, device, file } of change.contents) {
    const snapshot = vm.snapshots.get(snapshotId);
    if (!snapshot) continue;
    snapshot.disks = snapshot.disks.map((disk) => (disk.device === device ? { ...disk, file } : disk));
  }
  return vm;
}

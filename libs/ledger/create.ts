import { planCapture } from './capture.ts';
import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { madeUpName, requireLabels, requireName, requireText } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireFreeName, requireIdle, requireInternalOn, requireNotHeld } from './require.ts';
import type { DiskCapture } from './shapes.ts';
import { tagOf, type Vm } from './vm.ts';

export function createSnapshot(command: CommandOf<'CreateSnapshot'>, vm: Vm): VmEvent[] {
  const { snapshotId, operationId, memory, diskOnly = false, description = '', labels = {} } = command;
  requireNotHeld(vm);
  requireIdle(vm);
  requireFreshId(vm, snapshotId);
  const name = command.name ?? madeUpName(snapshotId);
  requireName(name);
  requireFreeName(vm, name, snapshotId);
  requireText('description', description);
  requireLabels(labels);
  const disks = captureOfEachDisk(command.disks ?? [], vm);
  // Whatever a machine that is off can do, it can do running: what is refused here is wrong in any power state.
  planCapture('online', { memory, disks, diskOnly });
  requireRoom(vm, command.limits.snapshotsMax);
  return [
    {
      type: 'SnapshotRequested',
      data: {
        snapshotId,
        operationId,
        name,
        nameGiven: command.name !== undefined,
        description,
        labels,
        parentId: vm.current.id,
        ...(memory !== undefined && { memory }),
        diskOnly,
        disks,
      },
    },
  ];
}

/** Every writable disk, each as asked or else by its default: a snapshot covers all devices or does not exist. */
export function captureOfEachDisk(asked: readonly DiskCapture[], vm: Vm): DiskCapture[] {
  const wishes = new Map<string, DiskCapture['mode']>();
  for (const { device, mode } of asked) {
    if (wishes.has(device)) throw new Refusal('invalid-combination', `disk "${device}" is named twice`);
    if (!vm.disks.some((disk) => disk.device === device))
      throw new Refusal('disk-unsupported', `the VM has no disk "${device}"`);
    wishes.set(device, mode);
  }
  const writable = vm.disks.filter((disk) => !disk.readOnly || wishes.has(disk.device));
  if (writable.length === 0) throw new Refusal('nothing-to-snapshot', 'the VM has no writable disk');
  return writable.map((disk) => {
    const mode = wishes.get(disk.device) ?? disk.default;
    if (mode === null) {
      throw new Refusal(
        'disk-unsupported',
        `disk "${disk.device}" is ${disk.format}: say "external" or "none" for it`,
      );
    }
    if (mode === 'internal') requireInternalOn(disk);
    if (mode !== 'none' && disk.readOnly)
      throw new Refusal('disk-unsupported', `disk "${disk.device}" is read-only`);
    return { device: disk.device, mode };
  });
}

/** An id may be known from this VM's log, or from a tag that an earlier life of the machine left on a disk. */
function requireFreshId(vm: Vm, id: string): void {
  if (!vm.usedIds.has(id) && !vm.foreignTags.some(({ tag }) => tag === tagOf(id))) return;
  throw new Refusal('id-used', `the id ${id} was given to a snapshot before`);
}

function requireRoom(vm: Vm, snapshotsMax: number): void {
  const internal = [...vm.snapshots.values()].filter(({ disks }) =>
    disks.some(({ mode }) => mode === 'internal'),
  );
  if (internal.length < snapshotsMax) return;
  throw new Refusal(
    'too-many-snapshots',
    `the disks of the VM hold ${internal.length} snapshots, ${snapshotsMax} are allowed: delete some first`,
  );
}

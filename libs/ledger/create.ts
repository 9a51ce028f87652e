import { requireSomeCapture } from './capture.ts';
import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { madeUpName, requireDescription, requireLabels, requireName } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireFreeName, requireIdle, requireNotHeld } from './require.ts';
import type { DiskCapture } from './shapes.ts';
import type { Vm } from './vm.ts';

export function createSnapshot(command: CommandOf<'CreateSnapshot'>, vm: Vm): VmEvent[] {
  const { snapshotId, operationId, memory, diskOnly = false, description = '', labels = {} } = command;
  requireNotHeld(vm);
  requireIdle(vm);
  if (vm.usedIds.has(snapshotId))
    throw new Refusal('id-used', `the id ${snapshotId} was given to a snapshot before`);
  const name = command.name ?? madeUpName(snapshotId);
  requireName(name);
  requireFreeName(vm, name, snapshotId);
  requireDescription(description);
  requireLabels(labels);
  const disks = captureOfEachDisk(command.disks ?? [], vm);
  requireSomeCapture({ memory, disks, diskOnly });
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
    if (mode === 'internal' && disk.format !== 'qcow2') {
      throw new Refusal(
        'disk-unsupported',
        `disk "${disk.device}" is ${disk.format}, which cannot hold snapshots: say "external" or "none" for it`,
      );
    }
    if (mode !== 'none' && disk.readOnly)
      throw new Refusal('disk-unsupported', `disk "${disk.device}" is read-only`);
    return { device: disk.device, mode };
  });
}

function requireRoom(vm: Vm, snapshotsMax: number): void {
  if (vm.snapshots.size < snapshotsMax) return;
  throw new Refusal(
    'too-many-snapshots',
    `the VM has ${vm.snapshots.size} snapshots, ${snapshotsMax} are allowed: delete some first`,
  );
}

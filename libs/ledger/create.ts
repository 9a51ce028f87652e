import { type MemoryMeans, planCapture } from './capture.ts';
import type { CommandOf } from './commands.ts';
import type { DataOf, VmEvent } from './events.ts';
import { chainUnder } from './layers.ts';
import { madeUpName, requireLabels, requireName, requireText } from './names.ts';
import { Refusal } from './refusal.ts';
import {
  requireBackupFormat,
  requireFileName,
  requireFreeName,
  requireFreshId,
  requireIdle,
  requireInternalOn,
  requireNotHeld,
  requireOverlayFormat,
} from './require.ts';
import type { Backup, Disk, DiskCapture } from './shapes.ts';
import type { Vm } from './vm.ts';

export function createSnapshot(command: CommandOf<'CreateSnapshot'>, vm: Vm): VmEvent[] {
  const { snapshotId, operationId, diskOnly = false, description = '', labels = {} } = command;
  requireNotHeld(vm);
  requireIdle(vm);
  requireFreshId(vm, snapshotId);
  const name = command.name ?? madeUpName(snapshotId);
  requireName(name);
  requireFreeName(vm, name, snapshotId);
  requireText('description', description);
  requireLabels(labels);
  const disks = captureOfEachDisk(command.disks ?? [], vm);
  const { memory, memoryFile, memoryFormat, backups = [] } = command;
  // Whatever a machine that is off can do, it can do running: what is refused here is wrong in any power state.
  const { memoryBy } = planCapture('online', { memory, memoryFile, memoryFormat, disks, diskOnly });
  requireQuiet(command, memoryBy !== 'none', vm);
  requireRoom(vm, disks, command.limits);
  const files = [...disks.map(({ file }) => file), memoryFile, ...backups.map(({ target }) => target)];
  requireFiles(files, vm);
  requireBackups(backups, memoryBy, vm);
  return [
    {
      type: 'SnapshotRequested',
      data: {
        ...{ snapshotId, operationId, name, nameGiven: command.name !== undefined, description, labels },
        ...{ parentId: vm.current.id, diskOnly, disks },
        ...besides(command),
      },
    },
  ];
}

/** What is recorded only when it was asked for. */
function besides(command: CommandOf<'CreateSnapshot'>): Partial<DataOf<'SnapshotRequested'>> {
  const { memory, memoryFile, memoryFormat, backups = [], quiesce = 'none', plan } = command;
  return {
    ...(memory !== undefined && { memory }),
    ...(memoryFile !== undefined && { memoryFile }),
    ...(memoryFormat !== undefined && { memoryFormat }),
    ...(backups.length > 0 && { backups: [...backups] }),
    ...(quiesce !== 'none' && { quiesce }),
    ...(plan && { plan }),
  };
}

/** Every writable disk, each as asked or else by its default: a snapshot covers all devices or does not exist. */
export function captureOfEachDisk(asked: readonly DiskCapture[], vm: Pick<Vm, 'disks'>): DiskCapture[] {
  const wishes = new Map<string, DiskCapture>();
  for (const wish of asked) {
    const { device } = wish;
    if (wishes.has(device)) throw new Refusal('invalid-combination', `disk "${device}" is named twice`);
    requireDisk(vm, device);
    wishes.set(device, wish);
  }
  const writable = vm.disks.filter((disk) => !disk.readOnly || wishes.has(disk.device));
  if (writable.length === 0) throw new Refusal('nothing-to-snapshot', 'the VM has no writable disk');
  return writable.map((disk) => captureOf(disk, wishes.get(disk.device)));
}

function captureOf(disk: Disk, wish: DiskCapture | undefined): DiskCapture {
  const mode = wish?.mode ?? disk.default;
  if (mode === null) {
    throw new Refusal(
      'disk-unsupported',
      `disk "${disk.device}" is ${disk.format}: say "external" or "none" for it`,
    );
  }
  if (mode === 'internal') requireInternalOn(disk);
  if (mode !== 'none' && disk.readOnly)
    throw new Refusal('disk-unsupported', `disk "${disk.device}" is read-only`);
  const captured = { ...wish, device: disk.device, mode };
  requireFittingFile(captured);
  return captured;
}

/** Only an external capture has a file of its own, and one that exists has a name. */
function requireFittingFile({ device, mode, file, format, fileMode }: DiskCapture): void {
  if (mode === 'external') {
    requireOverlayFormat(format);
    if (fileMode !== 'existing' || file !== undefined) return;
    throw new Refusal('invalid-combination', `the existing file for disk "${device}" has to be named`);
  }
  if (file === undefined && format === undefined && fileMode === undefined) return;
  throw new Refusal(
    'invalid-combination',
    `disk "${device}" is captured "${mode}": it gets no file of its own`,
  );
}

function requireDisk(vm: Pick<Vm, 'disks'>, device: string): void {
  if (vm.disks.some((disk) => disk.device === device)) return;
  throw new Refusal('disk-unsupported', `the VM has no disk "${device}"`);
}

/** Bounds what QEMU has to rewrite at each capture, and what it has to open. */
function requireRoom(
  vm: Vm,
  disks: readonly DiskCapture[],
  { snapshotsMax, chainMax }: CommandOf<'CreateSnapshot'>['limits'],
): void {
  const internal = [...vm.snapshots.values()].filter((snapshot) =>
    snapshot.disks.some(({ mode }) => mode === 'internal'),
  );
  if (internal.length >= snapshotsMax && disks.some(({ mode }) => mode === 'internal')) {
    throw new Refusal(
      'too-many-snapshots',
      `the disks of the VM hold ${internal.length} snapshots, ${snapshotsMax} are allowed: delete some first`,
    );
  }
  for (const { device, mode } of disks) {
    const file = vm.disks.find((disk) => disk.device === device)?.file ?? '';
    const depth = chainUnder(vm, file).length;
    if (mode !== 'external' || depth < chainMax) continue;
    throw new Refusal(
      'too-many-snapshots',
      `disk "${device}" stands on a chain of ${depth} files, ${chainMax} are allowed: merge some of its snapshots first`,
    );
  }
}

/** Memory is of one instant with the disks anyway, and nobody can freeze what is off: that is for the worker to see. */
function requireQuiet({ quiesce }: CommandOf<'CreateSnapshot'>, withMemory: boolean, vm: Vm): void {
  if (quiesce !== 'require') return;
  if (withMemory) throw new Refusal('invalid-combination', 'quiesce is for disks alone: add diskOnly');
  if (vm.guestAgent === null)
    throw new Refusal('no-guest-agent', 'the VM has no guest agent: register its socket, or quiesce "try"');
}

/** @throws {Refusal} `path-not-allowed` for a file that can be nobody's, `invalid-combination` for one named twice */
function requireFiles(files: readonly (string | undefined)[], vm: Vm): void {
  const seen = new Set<string>();
  const memories = new Set([...vm.snapshots.values()].map(({ memory }) => memory.file));
  for (const file of files) {
    if (file === undefined) continue;
    requireFileName(file);
    if (seen.has(file)) throw new Refusal('invalid-combination', `${file} is named twice`);
    if (vm.layers.has(file) || memories.has(file))
      throw new Refusal('path-not-allowed', `${file} belongs to this VM already`);
    seen.add(file);
  }
}

function requireBackups(backups: readonly Backup[], memoryBy: MemoryMeans, vm: Vm): void {
  if (memoryBy === 'stream' && backups.some(({ sync }) => sync === 'none')) {
    throw new Refusal(
      'invalid-combination',
      'QEMU sends no memory as a stream while a copy runs, and one of sync "none" runs until it is canceled',
    );
  }
  const devices = new Set<string>();
  for (const { device, format, sync } of backups) {
    requireDisk(vm, device);
    requireBackupFormat(format, sync);
    if (devices.has(device)) throw new Refusal('invalid-combination', `disk "${device}" is backed up twice`);
    devices.add(device);
  }
}

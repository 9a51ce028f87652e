import { madeUpName } from './names.ts';
import { Refusal } from './refusal.ts';
import type { Backup, Disk } from './shapes.ts';
import { tagOf, type Snapshot, type Vm, wrongChainIn } from './vm.ts';

/** @throws {Refusal} `vm-held` */
export function requireRightChain(vm: Vm): void {
  const wrong = wrongChainIn(vm);
  if (wrong) throw new Refusal('vm-held', `the VM is held: ${wrong.message}`);
}

/** @throws {Refusal} `vm-held` */
export function requireNotHeld(vm: Vm): void {
  requireRightChain(vm);
  if (!vm.hold) return;
  const { operationId, message } = vm.hold;
  throw new Refusal('vm-held', `the VM is held: ${message}; load a snapshot or release the hold`, {
    operationId,
  });
}

/** @throws {Refusal} `vm-busy` with the id of the operation that is under way */
export function requireIdle(vm: Vm): void {
  if (!vm.operation) return;
  const { id, kind } = vm.operation;
  throw new Refusal('vm-busy', `a ${kind} is under way on this VM`, { operationId: id });
}

/** @throws {Refusal} `vm-busy` when the open operation is about this very snapshot */
export function requireLeftAlone(vm: Vm, { id, status }: Snapshot): void {
  if (vm.operation?.snapshotId === id || status === 'deleting') requireIdle(vm);
}

/** @throws {Refusal} `disk-unsupported` when the disk cannot hold snapshots inside */
export function requireInternalOn({ device, format }: Disk): void {
  if (format === 'qcow2') return;
  throw new Refusal(
    'disk-unsupported',
    `disk "${device}" is ${format}, which cannot hold snapshots: say "external" or "none" for it`,
  );
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * QEMU opens a file by its name alone, so it is an absolute path and nothing that could be taken for an address.
 * One file has one such name, or it could be named twice unseen.
 *
 * @throws {Refusal} `path-not-allowed`
 */
export function requireFileName(file: string): void {
  const [root, ...parts] = file.split('/');
  const isNamed = parts.length > 0 && !parts.some((part) => ['', '.', '..'].includes(part));
  const isPlain = root === '' && isNamed && !CONTROL.test(file);
  if (!isPlain)
    throw new Refusal('path-not-allowed', `${file} is no absolute path of a file, without "." and ".."`);
}

/** @throws {Refusal} `disk-unsupported` when nothing can be written on top of another file in this format */
export function requireOverlayFormat(format: string | undefined): void {
  if (format === undefined || OVERLAY_FORMATS.includes(format)) return;
  throw new Refusal(
    'disk-unsupported',
    `"${format}" cannot stand on another file: ${OVERLAY_FORMATS.join(', ')} can`,
  );
}

/** Those with a backing file that QEMU can write (QEMU 7.2; vmdk and parallels only read theirs or lose its format). */
const OVERLAY_FORMATS: readonly string[] = ['qcow2', 'qed'];

/**
 * @throws {Refusal} `unsupported` for a format that disks are not copied into, `invalid-combination` for one that cannot
 *   leave out what it could be read from below
 */
export function requireBackupFormat(format: string, sync: Backup['sync']): void {
  if (!BACKUP_FORMATS.includes(format)) {
    const formats = BACKUP_FORMATS.join(' or ');
    throw new Refusal('unsupported', `a disk is copied into ${formats}, not into "${format}"`);
  }
  if (sync === 'none' && format === 'raw')
    throw new Refusal('invalid-combination', 'a raw copy stands on nothing: say "qcow2", or sync "full"');
}

const BACKUP_FORMATS: readonly string[] = ['qcow2', 'raw'];

/** @throws {Refusal} `snapshot-unknown` */
export function requireSnapshot(vm: Vm, id: string): Snapshot {
  const snapshot = vm.snapshots.get(id);
  if (!snapshot) throw new Refusal('snapshot-unknown', `no snapshot ${id} lives on this VM`);
  return snapshot;
}

/**
 * What is made for it is called after it. An id may be known from this VM's log, or from a tag that an earlier life of the machine left on a disk.
 *
 * @throws {Refusal} `id-used`
 */
export function requireFreshId(vm: Vm, id: string): void {
  if (!vm.usedIds.has(id) && !vm.loadIds.has(id) && !vm.foreignTags.some(({ tag }) => tag === tagOf(id)))
    return;
  throw new Refusal('id-used', `the id ${id} was given to a snapshot, or to a load, before`);
}

/** @throws {Refusal} `name-taken`, naming who has it */
export function requireFreeName(vm: Vm, name: string, snapshotId: string): void {
  for (const other of vm.snapshots.values()) {
    if (other.name === name && other.id !== snapshotId) {
      throw new Refusal('name-taken', `snapshot ${other.id} is called "${name}" already`, {
        snapshotId: other.id,
      });
    }
  }
  const pin = vm.operation?.kind === 'load' ? vm.operation.request.pin : undefined;
  if (pin && madeUpName(pin.snapshotId) === name && pin.snapshotId !== snapshotId) {
    throw new Refusal('name-taken', `what a load is about to save of the present is called "${name}"`, {
      snapshotId: pin.snapshotId,
    });
  }
  const foreign = vm.foreignTags.find(({ tag }) => tag === name);
  if (foreign) {
    throw new Refusal(
      'name-taken',
      `disk ${foreign.device} holds a foreign snapshot "${name}"; adopt or remove it first`,
    );
  }
}

import { Refusal } from './refusal.ts';
import type { Disk } from './shapes.ts';
import type { Snapshot, Vm } from './vm.ts';

/** @throws {Refusal} `vm-held` */
export function requireNotHeld(vm: Vm): void {
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

/** @throws {Refusal} `snapshot-unknown` */
export function requireSnapshot(vm: Vm, id: string): Snapshot {
  const snapshot = vm.snapshots.get(id);
  if (!snapshot) throw new Refusal('snapshot-unknown', `no snapshot ${id} lives on this VM`);
  return snapshot;
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
  const foreign = vm.foreignTags.find(({ tag }) => tag === name);
  if (foreign) {
    throw new Refusal(
      'name-taken',
      `disk ${foreign.device} holds a foreign snapshot "${name}"; adopt or remove it first`,
    );
  }
}

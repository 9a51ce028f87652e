/* A registered machine on real QEMU, and whether its disks are what the ledger says. */
import { join } from 'node:path';
import {
  makeDirectory,
  makeDisk,
  type RigDisk,
  type RigMachine,
  type RigOptions,
  startQemu,
} from '../qemu/rig.ts';
import type { DaemonProcess } from './daemon-process.ts';

export interface Subject {
  readonly directory: string;
  readonly disks: readonly RigDisk[];
  qemu: RigMachine;
  vmId: string;
}

interface SubjectOptions extends Pick<RigDisk, 'blkdebug'>, Pick<RigOptions, 'memoryMb'> {}

/** Boots a machine of so many qcow2 disks. */
export async function bootSubject(
  disksCount: number,
  directory = makeDirectory(),
  { memoryMb = 32, ...options }: SubjectOptions = {},
): Promise<Subject> {
  const disks = Array.from({ length: disksCount }, (_, n): RigDisk => {
    const node = `d${n}`;
    return { node, file: makeDisk(join(directory, `${node}.qcow2`)), format: 'qcow2', ...options };
  });
  return { directory, disks, qemu: await startQemu({ disks, dir: directory, memoryMb }), vmId: '' };
}

export async function register(subject: Subject, daemon: DaemonProcess, name = 'm'): Promise<void> {
  const vm = await daemon.ask<{ id: string }>('POST', '/vms', {
    name,
    monitor: subject.qemu.monitorPath,
  });
  subject.vmId = vm.id;
}

/** Takes a snapshot and waits for it. */
export async function take(
  subject: Subject,
  daemon: DaemonProcess,
  name: string,
  body: object = {},
): Promise<string> {
  const accepted = await daemon.ask<{ id: string; snapshotId: string }>(
    'POST',
    `/vms/${subject.vmId}/snapshots`,
    { name, ...body },
  );
  const { outcome, error } = await daemon.operation(accepted.id);
  if (outcome !== 'succeeded') throw new Error(`snapshot ${name}: ${outcome} ${error?.message}`);
  return accepted.snapshotId;
}

const REQUESTS = new Set(['SnapshotRequested', 'LoadRequested', 'DeleteRequested']);
const ENDS = new Set([
  'SnapshotCreated',
  'SnapshotLoaded',
  'SnapshotDeleted',
  'CreateFailed',
  'LoadFailed',
  'DeleteFailed',
]);

/** Requests that did not end in exactly one terminal event. */
export async function unanswered(
  { vmId }: Pick<Subject, 'vmId'>,
  daemon: Pick<DaemonProcess, 'events'>,
): Promise<string[]> {
  const ends = new Map<string, number>();
  for (const { type, correlationId } of await daemon.events(vmId)) {
    if (REQUESTS.has(type)) ends.set(correlationId, ends.get(correlationId) ?? 0);
    if (ENDS.has(type)) ends.set(correlationId, (ends.get(correlationId) ?? 0) + 1);
  }
  return [...ends].filter(([, count]) => count !== 1).map(([id, count]) => `${id} ended ${count} times`);
}

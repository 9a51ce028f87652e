/* A registered machine on real QEMU, and whether its disks are what the ledger says. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  DiskLocked,
  makeDirectory,
  makeDisk,
  type RigDisk,
  type RigMachine,
  snapshotTags,
  startQemu,
} from '../qemu/rig.ts';
import type { DaemonProcess } from './daemon-process.ts';

interface ShownSnapshot {
  readonly id: string;
  readonly status: string;
}

export interface Subject {
  readonly directory: string;
  readonly disks: readonly RigDisk[];
  qemu: RigMachine;
  vmId: string;
}

/** Boots a machine of so many qcow2 disks. */
export async function bootSubject(disksCount: number, directory = makeDirectory()): Promise<Subject> {
  const disks = Array.from({ length: disksCount }, (_, n): RigDisk => {
    const node = `d${n}`;
    return { node, file: makeDisk(join(directory, `${node}.qcow2`)), format: 'qcow2' };
  });
  return { directory, disks, qemu: await boot(directory, disks), vmId: '' };
}

const boot = (dir: string, disks: readonly RigDisk[]): Promise<RigMachine> =>
  startQemu({ disks, dir, memoryMb: 32 });

const REBOOTS_MAX = 50;
const REBOOT_PAUSE_MS = 100;

/** The same machine again, after a kill. */
export async function reboot(subject: Subject): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      subject.qemu = await boot(subject.directory, subject.disks);
      return;
    } catch (error) {
      if (!(error instanceof DiskLocked) || tries === REBOOTS_MAX) throw error;
      await setTimeout(REBOOT_PAUSE_MS);
    }
  }
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

/** How each disk differs from what the ledger says; empty when it does not. */
export async function differences({ disks, vmId }: Subject, daemon: DaemonProcess): Promise<string[]> {
  const { snapshots } = await daemon.ask<{ snapshots: ShownSnapshot[] }>(
    'GET',
    `/vms/${vmId}/snapshots?pageSize=1000&implicit=true`,
  );
  const said = snapshots.map(({ id }) => `sl-${id}`).sort();
  return disks.flatMap(({ node, file }) => {
    const found = snapshotTags(file).sort();
    return String(found) === String(said) ? [] : [`${node} holds [${found}], the ledger says [${said}]`];
  });
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

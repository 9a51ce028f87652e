/* Who owns a machine starts it again after it has died. */
import { setTimeout } from 'node:timers/promises';
import { DiskLocked, type RigDisk, type RigMachine, type RigOptions, startQemu } from '../qemu/rig.ts';
import type { Subject } from './machine.ts';

export interface Shown {
  readonly operationId: string | null;
  readonly disks: readonly { readonly device: string; readonly file: string; readonly format: string }[];
  readonly conditions: readonly { readonly type: string; readonly message: string }[];
}

/** Somebody who can be asked what the ledger says. */
export interface Told {
  ask<T>(method: string, path: string): Promise<T>;
}

const START_WITHIN_MS = 30_000;
const AGAIN_MS = 50;
/** So long a load that works on the disks of a dead machine has them for itself; one that waits for the machine waits on. */
const LOAD_PATIENCE_MS = 1_500;

export const shown = ({ vmId }: Subject, daemon: Told): Promise<Shown> => daemon.ask('GET', `/vms/${vmId}`);

/**
 * From the disks that the ledger names, as `ledgerctl vm launch` prints them: not while a create or a delete is open, for
 * only its end tells which those are. And who takes a snapshot off the disks of a dead machine locks them.
 */
export async function startAsTold(subject: Subject, daemon: Told): Promise<void> {
  await subject.qemu.kill();
  for (let waitedMs = 0; waitedMs < START_WITHIN_MS; waitedMs += AGAIN_MS) {
    const told = await shown(subject, daemon);
    if (await isSure(told, daemon, waitedMs)) {
      const disks = disksTold(subject, told);
      const qemu = await startUnlessLocked({ disks, dir: subject.directory, memoryMb: 32 });
      if (qemu) {
        subject.qemu = qemu;
        return;
      }
    }
    await setTimeout(AGAIN_MS);
  }
  throw new Error('the ledger does not tell what to start the machine from, or that stays locked');
}

/** A load may wait for the machine. */
async function isSure({ operationId }: Shown, daemon: Told, waitedMs: number): Promise<boolean> {
  if (operationId === null) return true;
  const { kind, done } = await daemon.ask<{ kind: string; done: boolean }>(
    'GET',
    `/operations/${operationId}`,
  );
  return !done && kind === 'load' && waitedMs >= LOAD_PATIENCE_MS; // One that is done has named other disks meanwhile.
}

async function startUnlessLocked(options: RigOptions): Promise<RigMachine | null> {
  try {
    return await startQemu(options);
  } catch (error) {
    if (error instanceof DiskLocked) return null;
    throw error;
  }
}

const disksTold = ({ disks }: Subject, told: Shown): RigDisk[] =>
  disks.map((disk) => {
    const now = told.disks.find(({ device }) => device === `dev-${disk.node}`);
    return now ? { node: disk.node, file: now.file, format: now.format } : disk;
  });

/* Somebody dies in the middle of a request: what has become of it, and of the machine? */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Bomb, DaemonProcess } from '../crash/daemon-process.ts';
import type { Subject } from '../crash/machine.ts';
import {
  DiskLocked,
  guestWrite,
  type RigDisk,
  type RigMachine,
  type RigOptions,
  startQemu,
} from '../qemu/rig.ts';
import { endOf, KEPT, PRESENT, shown, wrongWith } from './aftermath.ts';
import { ask, type ChaosKind, prepare } from './kinds.ts';

/** From the last restart until nothing is under way any more. */
export const CONVERGED_WITHIN_MS = 10_000;

export interface Death {
  readonly kind: ChaosKind;
  readonly victim: 'ledgerd' | 'qemu';
  readonly point: string;
  readonly nth: number;
}

export interface Outcome {
  readonly death: Death;
  /** Whether the point was reached, and the victim died. */
  readonly hasDied: boolean;
  /** How the request ended; `not recorded` when it never was. */
  readonly ended: string;
  readonly convergedMs: number;
  /** In words; empty when all is as it must be. */
  readonly wrong: readonly string[];
}

/** Which points are passed when nobody dies, each as often as it is. */
export async function rehearse(kind: ChaosKind, subject: Subject): Promise<ReadonlyMap<string, number>> {
  const daemon = await DaemonProcess.start(subject.directory);
  const before = await ready(kind, subject, daemon);
  daemon.arm();
  await ask(kind, subject, daemon, before);
  await daemon.quiet(subject.vmId);
  const passed = daemon.passed();
  await cleared(subject, daemon);
  await daemon.kill();
  const counts = new Map<string, number>();
  for (const point of passed) counts.set(point, (counts.get(point) ?? 0) + 1);
  return counts;
}

/** One death, and what it leaves when everybody is back. The machine is as it was before, and without snapshots. */
export async function die(subject: Subject, death: Death): Promise<Outcome> {
  const { kind, victim, point, nth } = death;
  rmSync(join(subject.directory, 'passed.txt'), { force: true });
  const bomb: Bomb = { point, nth, ...(victim === 'qemu' && { victim: subject.qemu.pid }) };
  const mortal = await DaemonProcess.start(subject.directory, bomb);
  const before = await ready(kind, subject, mortal);
  mortal.arm();
  await ask(kind, subject, mortal, before);
  const isQuiet = mortal.quiet(subject.vmId).then(
    () => false,
    () => true, // It died, or waits for a machine that did.
  );
  await Promise.race([mortal.gone, isQuiet, whenDead(subject.qemu.pid)]);
  if (!mortal.isGone) await mortal.disarm();
  const hasQemuDied = isDead(subject.qemu.pid);
  const hasDied = victim === 'qemu' ? hasQemuDied : mortal.isGone;
  if (victim === 'ledgerd') await mortal.kill();
  const next = victim === 'ledgerd' ? await DaemonProcess.start(subject.directory) : mortal;
  if (hasQemuDied) await startAsTold(subject, next);
  const beganMs = performance.now();
  const wrong: string[] = [];
  await next.quiet(subject.vmId).catch((error: unknown) => wrong.push(String(error)));
  const convergedMs = performance.now() - beganMs;
  const ended = await endOf(subject, next, kind);
  wrong.push(...(await wrongWith(subject, next, { kind, ended, hasQemuDied })));
  await cleared(subject, next);
  await next.kill();
  return { death, hasDied, ended, convergedMs, wrong };
}

/** Somebody of this host by its process id. */
function isDead(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    throw error;
  }
}

async function whenDead(pid: number): Promise<void> {
  while (!isDead(pid)) await setTimeout(10);
}

/** What the request works on, and contents that tell before from after. */
export async function ready(kind: ChaosKind, subject: Subject, daemon: DaemonProcess): Promise<string> {
  if (subject.vmId === '') {
    const asked = { name: 'chaos', monitor: subject.qemu.monitorPath };
    subject.vmId = (await daemon.ask<{ id: string }>('POST', '/vms', asked)).id;
  }
  await writeAll(subject, KEPT);
  const before = await prepare(kind, subject, daemon);
  await writeAll(subject, PRESENT);
  return before;
}

const writeAll = async ({ qemu, disks }: Subject, pattern: number): Promise<void> => {
  for (const { node } of disks) await guestWrite(qemu, node, pattern);
};

/** Without snapshots: what was asked for last has come to its end. */
export async function cleared(subject: Subject, daemon: DaemonProcess): Promise<void> {
  await daemon.try('DELETE', `/vms/${subject.vmId}/snapshots`);
  await daemon.quiet(subject.vmId);
}

/**
 * From the disks that the ledger names, as `ledgerctl vm launch` prints them. A layer that a delete or a load has left is
 * gone a moment before the log names the next one.
 */
export async function startAsTold(subject: Subject, daemon: DaemonProcess): Promise<void> {
  await subject.qemu.kill();
  for (let waitedMs = 0; waitedMs < CONVERGED_WITHIN_MS; waitedMs += AGAIN_MS) {
    const disks = await disksTold(subject, daemon);
    if (disks.every(({ file }) => existsSync(file))) {
      const qemu = await startUnlessLocked({ disks, dir: subject.directory, memoryMb: 32 });
      if (qemu) {
        subject.qemu = qemu;
        return;
      }
    }
    await setTimeout(AGAIN_MS);
  }
  throw new Error('the ledger names a file that is not there, or that stays locked');
}

const AGAIN_MS = 50;

async function startUnlessLocked(options: RigOptions): Promise<RigMachine | null> {
  try {
    return await startQemu(options);
  } catch (error) {
    if (error instanceof DiskLocked) return null;
    throw error;
  }
}

async function disksTold(subject: Subject, daemon: DaemonProcess): Promise<RigDisk[]> {
  const { disks } = await shown(subject, daemon);
  return subject.disks.map((disk) => {
    const told = disks.find(({ device }) => device === `dev-${disk.node}`);
    return told ? { node: disk.node, file: told.file, format: told.format } : disk;
  });
}

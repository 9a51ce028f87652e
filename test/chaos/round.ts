/* Somebody dies in the middle of a request: what has become of it, and of the machine? */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { realWorld } from '#world';
import { checkDisks } from '../../apps/ledgerctl/verify/disks.ts';
import { auditLog } from '../../apps/ledgerctl/verify/log.ts';
import { Report } from '../../apps/ledgerctl/verify/report.ts';
import { type Bomb, DaemonProcess } from '../crash/daemon-process.ts';
import { type Subject, unanswered } from '../crash/machine.ts';
import {
  DiskLocked,
  guestReadPattern,
  guestWrite,
  type RigDisk,
  type RigMachine,
  type RigOptions,
  startQemu,
} from '../qemu/rig.ts';
import { ask, type ChaosKind, endIn, prepare } from './kinds.ts';

/** What the disks hold in the snapshot that is asked about, and what they hold when the request comes. */
const [KEPT, PRESENT] = [0x11, 0x22];

/** What the bombed ledgerd calls itself. */
const BOMBED_HOST = 'test-host';

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

interface Shown {
  readonly disks: readonly { readonly device: string; readonly file: string; readonly format: string }[];
  readonly conditions: readonly { readonly type: string; readonly message: string }[];
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

async function ready(kind: ChaosKind, subject: Subject, daemon: DaemonProcess): Promise<string> {
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
async function cleared(subject: Subject, daemon: DaemonProcess): Promise<void> {
  await daemon.try('DELETE', `/vms/${subject.vmId}/snapshots`);
  await daemon.quiet(subject.vmId);
}

const shown = ({ vmId }: Subject, daemon: DaemonProcess): Promise<Shown> => daemon.ask('GET', `/vms/${vmId}`);

/**
 * From the disks that the ledger names, as `ledgerctl vm launch` prints them. A layer that a delete or a load has left is
 * gone a moment before the log names the next one.
 */
async function startAsTold(subject: Subject, daemon: DaemonProcess): Promise<void> {
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

async function endOf({ vmId }: Subject, daemon: DaemonProcess, kind: ChaosKind): Promise<string> {
  const events = await daemon.events(vmId);
  const asked =
    kind.method === 'DELETE'
      ? 'DeleteRequested'
      : kind.leaves === 'snapshot'
        ? 'LoadRequested'
        : 'SnapshotRequested';
  const last = events.filter(({ type }) => type.endsWith('Requested')).at(-1);
  if (last?.type !== asked || last.data.operationId === undefined) return 'not recorded';
  if (kind.before && last.type === 'SnapshotRequested') return 'not recorded';
  return endIn(await daemon.operation(last.data.operationId));
}

interface Ended {
  readonly kind: ChaosKind;
  readonly ended: string;
  readonly hasQemuDied: boolean;
}

async function wrongWith(
  subject: Subject,
  daemon: DaemonProcess,
  { kind, ended, hasQemuDied }: Ended,
): Promise<string[]> {
  const wrong = await unanswered(subject, daemon);
  const { conditions } = await shown(subject, daemon);
  wrong.push(...conditions.map(({ type, message }) => `${type}: ${message}`));
  const { running } = (await subject.qemu.monitor.execute('query-status')) as { running: boolean };
  if (!running) wrong.push('the machine stands still');
  const isLoaded = kind.leaves === 'snapshot' && ended === 'succeeded';
  for (const { node } of subject.disks)
    if (!(await guestReadPattern(subject.qemu, node, isLoaded ? KEPT : PRESENT)))
      wrong.push(`${node} does not hold ${isLoaded ? 'what was loaded' : 'what it held'}`);
  if (ended.includes('needs-operator')) wrong.push(`it ended as ${ended}`);
  if (!hasQemuDied && ended.includes('machine-gone'))
    wrong.push('the machine is called gone, and was there all the time');
  return [...wrong, ...(await breaches(subject.directory))];
}

/** What `ledgerctl verify` has to say. */
async function breaches(directory: string): Promise<string[]> {
  const report = new Report();
  const file = join(directory, 'data/ledger.sqlite');
  const audited = await auditLog({ file, report, views: null, onProgress: quietly });
  await checkDisks({ world: realWorld(), report, audited, file, host: BOMBED_HOST, onProgress: quietly });
  return report
    .checks()
    .flatMap(({ invariant, breaches: words }) => words.map((why) => `${invariant}: ${why}`));
}

const quietly = async (): Promise<void> => undefined;

/* Somebody dies in the middle of a request: what has become of it, and of the machine? */
import { setTimeout } from 'node:timers/promises';
import { DaemonProcess, type Recovery } from '../crash/daemon-process.ts';
import { bootSubject, type Subject } from '../crash/machine.ts';
import { startAsTold } from '../crash/owner.ts';
import { guestWrite } from '../qemu/rig.ts';
import { ask, type ChaosKind, endIn, prepare } from './kinds.ts';
import { as, KEPT, PRESENT, type Wrong, wrongWith } from './verdict.ts';

/** From the moment at which ledgerd is there until nothing is under way any more, with the restart of the machine. */
const CONVERGED_WITHIN_MS = 10_000;

export interface Death {
  readonly kind: ChaosKind;
  readonly victim: 'ledgerd' | 'qemu';
  /** At a fault point, or so long after the request. */
  readonly when: { readonly point: string; readonly nth: number } | { readonly afterMs: number };
}

export interface Outcome {
  readonly death: Death;
  /** Whether the point was reached, and the victim died. */
  readonly hasDied: boolean;
  /** How the request ended; `not recorded` when it never was. */
  readonly ended: string;
  readonly convergedMs: number;
  /** Empty when all is as it must be. */
  readonly wrong: readonly Wrong[];
}

/** A machine, and the ledgerd that works on it. Whoever is killed has a successor. */
export interface Stage {
  readonly subject: Subject;
  readonly recovery: Recovery;
  daemon: DaemonProcess;
}

/** What happens in a request when nobody dies. */
export interface Rehearsed {
  /** Which points are passed, each as often as it is. */
  readonly passed: ReadonlyMap<string, number>;
  readonly tookMs: number;
}

export async function openStage(disksCount: number, recovery: Recovery = 'recovering'): Promise<Stage> {
  const subject = await bootSubject(disksCount);
  const daemon = await DaemonProcess.start(subject.directory, { recovery });
  const asked = { name: 'chaos', monitor: subject.qemu.monitorPath };
  subject.vmId = (await daemon.ask<{ id: string }>('POST', '/vms', asked)).id;
  return { subject, recovery, daemon };
}

export async function closeStage({ subject, daemon }: Stage): Promise<void> {
  await daemon.kill();
  await subject.qemu.kill();
}

export async function rehearse(kind: ChaosKind, { subject, daemon }: Stage): Promise<Rehearsed> {
  const before = await ready(kind, subject, daemon);
  await daemon.lay();
  const beganMs = performance.now();
  await ask(kind, subject, daemon, before);
  await daemon.quiet(subject.vmId);
  const tookMs = performance.now() - beganMs;
  const passed = new Map<string, number>();
  for (const point of (await daemon.defuse()).passed) passed.set(point, (passed.get(point) ?? 0) + 1);
  await cleared(subject, daemon);
  return { passed, tookMs };
}

/** One death, and what it leaves when everybody is back. The machine is as it was before, and without snapshots. */
export async function die(stage: Stage, death: Death): Promise<Outcome> {
  const { kind, victim } = death;
  const { subject, daemon: mortal, recovery } = stage;
  const before = await ready(kind, subject, mortal);
  const earlier = await newest(subject, mortal);
  await until(stage, death, before);
  const hasQemuDied = isDead(subject.qemu.pid);
  const hasDied = victim === 'qemu' ? hasQemuDied : mortal.isGone;
  if (mortal.isGone) stage.daemon = await DaemonProcess.start(subject.directory, { recovery });
  return { death, hasDied, ...(await afterwards(stage, kind, { hasQemuDied, earlier })) };
}

interface Known {
  readonly hasQemuDied: boolean;
  /** The newest request before this one. */
  readonly earlier: string;
}

type Aftermath = Pick<Outcome, 'ended' | 'convergedMs' | 'wrong'>;

/** Somebody who cannot come back, or cannot be asked any more, is the worst that a death can leave. */
async function afterwards(stage: Stage, kind: ChaosKind, known: Known): Promise<Aftermath> {
  try {
    return await converged(stage, kind, known);
  } catch (error) {
    return { ended: 'unknown', convergedMs: 0, wrong: as('wrong otherwise', [String(error)]) };
  }
}

async function converged(
  { subject, daemon }: Stage,
  kind: ChaosKind,
  { hasQemuDied, earlier }: Known,
): Promise<Aftermath> {
  const beganMs = performance.now();
  if (hasQemuDied) await startAsTold(subject, daemon);
  const unended = await daemon.quiet(subject.vmId).then(
    () => [],
    (error: unknown) => [String(error)],
  );
  const convergedMs = performance.now() - beganMs;
  const late = convergedMs > CONVERGED_WITHIN_MS ? [`it took ${(convergedMs / 1_000).toFixed(1)} s`] : [];
  const ended = await endOf(subject, daemon, { kind, earlier });
  const wrong = [
    ...as('not exactly one terminal event', unended),
    ...as('later than 10 s', late),
    ...(await wrongWith(subject, daemon, { kind, ended, hasQemuDied })),
  ];
  if (wrong.length > 0)
    return { ended: `${ended} (${await lastWords(subject, daemon)})`, convergedMs, wrong };
  await cleared(subject, daemon);
  return { ended, convergedMs, wrong };
}

/** Asks, and waits until somebody has died of it or it has ended. */
async function until(
  { subject, daemon }: Stage,
  { kind, victim, when }: Death,
  before: string,
): Promise<void> {
  const mortal = victim === 'qemu' ? { victim: subject.qemu.pid } : {};
  const isTimed = 'afterMs' in when;
  if (!isTimed) await daemon.lay({ ...when, ...mortal });
  const killed = isTimed && setTimeout(when.afterMs).then(() => subject.qemu.kill());
  await ask(kind, subject, daemon, before);
  await killed;
  if (isTimed) return;
  const isQuiet = daemon.quiet(subject.vmId).catch(() => undefined); // It died, or waits for a machine that did.
  await Promise.race([daemon.gone, isQuiet, whenDead(subject.qemu.pid)]);
  const { hasExploded } = await daemon.defuse();
  if (hasExploded && victim === 'qemu') await whenDead(subject.qemu.pid);
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

const DEAD_POLL_MS = 10;
const DEAD_WITHIN_MS = 60_000;

async function whenDead(pid: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < DEAD_WITHIN_MS && !isDead(pid); waitedMs += DEAD_POLL_MS)
    await setTimeout(DEAD_POLL_MS);
}

/** What the request works on, and contents that tell before from after. */
export async function ready(kind: ChaosKind, subject: Subject, daemon: DaemonProcess): Promise<string> {
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

/** The operation that was asked for last; '' when none was. */
export async function newest({ vmId }: Subject, daemon: DaemonProcess): Promise<string> {
  const events = await daemon.events(vmId);
  return events.findLast(({ type }) => type.endsWith('Requested'))?.data.operationId ?? '';
}

/** What is said of its failure. */
async function lastWords(subject: Subject, daemon: DaemonProcess): Promise<string> {
  const operationId = await newest(subject, daemon);
  return operationId === '' ? '' : ((await daemon.operation(operationId)).error?.message ?? '');
}

/** How the request of this kind that came last ended; `not recorded` when it never was. */
export async function endOf(
  { vmId }: Subject,
  daemon: DaemonProcess,
  { kind, earlier }: { kind: ChaosKind; earlier: string },
): Promise<string> {
  const events = await daemon.events(vmId);
  const asked =
    kind.method === 'DELETE'
      ? 'DeleteRequested'
      : kind.leaves === 'snapshot'
        ? 'LoadRequested'
        : 'SnapshotRequested';
  const last = events.filter(({ type }) => type.endsWith('Requested')).at(-1);
  const { operationId } = last?.data ?? {};
  if (last?.type !== asked || operationId === undefined || operationId === earlier) return 'not recorded';
  if (kind.before && last.type === 'SnapshotRequested') return 'not recorded';
  return endIn(await daemon.operation(operationId));
}

/* The connection to QEMU breaks after each byte of a create: what is said of the create, and what is on the disks? */
import { join } from 'node:path';
import type { DaemonProcess, OperationAnswer } from '../crash/daemon-process.ts';
import { snapshotTags } from '../qemu/rig.ts';
import { bootSubject, type Subject, unanswered } from '../crash/machine.ts';
import { DIRECTIONS, type Direction, Wire } from './wire.ts';

/** From the break on until the create has ended. */
const ENDED_AT_LAST_MS = 20_000;

export interface Cut {
  readonly direction: Direction;
  readonly bytes: number;
  /** Whether so much was said at all. */
  readonly isCut: boolean;
  readonly ended: string;
  /** From the request to its end. */
  readonly tookMs: number;
  readonly wrong: readonly string[];
}

/** A machine at the end of a wire. */
export interface Wired {
  readonly subject: Subject;
  readonly wire: Wire;
}

/** Boots a machine in a directory and registers it, as it is reached over a wire. */
export async function wiredIn(directory: string, daemon: DaemonProcess, name: string): Promise<Wired> {
  const subject = await bootSubject(2, directory);
  const monitor = join(directory, 'wire.sock');
  const wire = await Wire.lay(monitor, subject.qemu.monitorPath);
  subject.vmId = (await daemon.ask<{ id: string }>('POST', '/vms', { name, monitor })).id;
  return { subject, wire };
}

/** How many bytes a create says each way, from the connecting on. */
export async function lengthOf(
  { subject, wire }: Wired,
  daemon: DaemonProcess,
): Promise<Record<Direction, number>> {
  wire.anew();
  await created(subject, daemon);
  const carried = { ...wire.carried };
  await emptied(subject, daemon);
  return carried;
}

/** Every so many bytes of both ways, from the first on. */
export const cutsOf = (length: Readonly<Record<Direction, number>>, stride: number) =>
  DIRECTIONS.flatMap((direction) =>
    Array.from({ length: Math.ceil(length[direction] / stride) }, (_, index) => ({
      ...{ direction, bytes: index * stride },
    })),
  );

/** One break, after which the machine is without snapshots again. */
export async function cut(
  { subject, wire }: Wired,
  daemon: DaemonProcess,
  { direction, bytes }: Pick<Cut, 'direction' | 'bytes'>,
): Promise<Cut> {
  wire.anew();
  wire.cutAfter(direction, bytes);
  const beganMs = performance.now();
  const operation = await created(subject, daemon);
  const tookMs = performance.now() - beganMs;
  const { isCut } = wire;
  wire.cutAfter(direction, Infinity);
  const wrong = await differences(subject, daemon);
  const { status } = (await subject.qemu.monitor.execute('query-status')) as { status: string };
  if (status !== 'running') wrong.push(`the machine is ${status}`);
  if (operation.error?.reason === 'machine-gone')
    wrong.push('the machine is called gone, and was there all the time');
  if (!operation.done) wrong.push('the create has not ended');
  await emptied(subject, daemon);
  const { outcome, error } = operation;
  return {
    direction,
    bytes,
    isCut,
    ended: error ? `${outcome}: ${error.reason}` : `${outcome}`,
    tookMs,
    wrong,
  };
}

/** What must be so when all is over. */
export async function wrongAtLast({ subject }: Wired, daemon: DaemonProcess): Promise<string[]> {
  return [...(await unanswered(subject, daemon)), ...(await differences(subject, daemon))];
}

async function created({ vmId }: Subject, daemon: DaemonProcess): Promise<OperationAnswer> {
  const { id } = await daemon.ask<{ id: string }>('POST', `/vms/${vmId}/snapshots`, { diskOnly: true });
  return daemon.operation(id);
}

async function emptied({ vmId }: Subject, daemon: DaemonProcess): Promise<void> {
  await daemon.try('DELETE', `/vms/${vmId}/snapshots`);
  await daemon.quiet(vmId, ENDED_AT_LAST_MS);
}

interface ShownSnapshot {
  readonly id: string;
}

/** How each disk differs from what the ledger says; empty when it does not. */
async function differences({ disks, vmId }: Subject, daemon: DaemonProcess): Promise<string[]> {
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

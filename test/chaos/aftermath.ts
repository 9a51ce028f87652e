/* What a request has left: on the disks, in the log, and of the machine. */
import { join } from 'node:path';
import { realWorld } from '#world';
import { checkDisks } from '../../apps/ledgerctl/verify/disks.ts';
import { auditLog } from '../../apps/ledgerctl/verify/log.ts';
import { Report } from '../../apps/ledgerctl/verify/report.ts';
import type { DaemonProcess } from '../crash/daemon-process.ts';
import { type Subject, unanswered } from '../crash/machine.ts';
import { guestReadPattern } from '../qemu/rig.ts';
import { type ChaosKind, endIn } from './kinds.ts';

/** What the disks hold in the snapshot that is asked about, and what they hold when the request comes. */
export const [KEPT, PRESENT] = [0x11, 0x22];

/** What the bombed ledgerd calls itself. */
const BOMBED_HOST = 'test-host';

interface Shown {
  readonly disks: readonly { readonly device: string; readonly file: string; readonly format: string }[];
  readonly conditions: readonly { readonly type: string; readonly message: string }[];
}

export const shown = ({ vmId }: Subject, daemon: DaemonProcess): Promise<Shown> =>
  daemon.ask('GET', `/vms/${vmId}`);

/** How the request of this kind that came last ended; `not recorded` when it never was. */
export async function endOf({ vmId }: Subject, daemon: DaemonProcess, kind: ChaosKind): Promise<string> {
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

export interface Ended {
  readonly kind: ChaosKind;
  readonly ended: string;
  readonly hasQemuDied: boolean;
}

/** In words; empty when all is as it must be. */
export async function wrongWith(
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
  return [...wrong, ...(await breaches(daemon))];
}

/** What `ledgerctl verify` has to say. */
export async function breaches({ directory }: DaemonProcess): Promise<string[]> {
  const report = new Report();
  const file = join(directory, 'data/ledger.sqlite');
  const audited = await auditLog({ file, report, views: null, onProgress: quietly });
  await checkDisks({ world: realWorld(), report, audited, file, host: BOMBED_HOST, onProgress: quietly });
  return report
    .checks()
    .flatMap(({ invariant, breaches: words }) => words.map((why) => `${invariant}: ${why}`));
}

const quietly = async (): Promise<void> => undefined;

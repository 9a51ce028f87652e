/* What may be wrong when somebody has died in a request and everybody is back. */
import { join } from 'node:path';
import { realWorld } from '#world';
import type { Invariant } from '../../apps/ledgerctl/verify/breach.ts';
import { checkDisks } from '../../apps/ledgerctl/verify/disks.ts';
import { auditLog } from '../../apps/ledgerctl/verify/log.ts';
import { Report } from '../../apps/ledgerctl/verify/report.ts';
import { TEST_HOST } from '../crash/config.ts';
import type { DaemonProcess } from '../crash/daemon-process.ts';
import { type Subject, unanswered } from '../crash/machine.ts';
import { shown } from '../crash/owner.ts';
import { guestReadPattern } from '../qemu/rig.ts';
import type { ChaosKind } from './kinds.ts';

export const VERDICTS = [
  'split sets',
  'orphans',
  'machines left paused',
  'not exactly one terminal event',
  'other contents',
  'later than 10 s',
  'wrong otherwise',
] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Wrong {
  readonly verdict: Verdict;
  readonly words: string;
}

/** What the disks hold in the snapshot that is asked about, and what they hold when the request comes. */
export const [KEPT, PRESENT] = [0x11, 0x22];

const VERDICT_OF: Readonly<Partial<Record<Invariant, Verdict>>> = {
  I1: 'split sets',
  I2: 'orphans',
  I3: 'not exactly one terminal event',
};

export interface Ended {
  readonly kind: ChaosKind;
  readonly ended: string;
  readonly hasQemuDied: boolean;
}

export async function wrongWith(subject: Subject, daemon: DaemonProcess, ended: Ended): Promise<Wrong[]> {
  const wrong = await unanswered(subject, daemon);
  const { conditions } = await shown(subject, daemon);
  return [
    ...as('not exactly one terminal event', wrong),
    ...as(
      'wrong otherwise',
      conditions.map(({ type, message }) => `${type}: ${message}`),
    ),
    ...(await wrongInMachine(subject, ended)),
    ...as('wrong otherwise', wrongEnd(ended)),
    ...(await breaches(daemon.directory)),
  ];
}

export const as = (verdict: Verdict, words: readonly string[]): Wrong[] =>
  words.map((one) => ({ verdict, words: one }));

export const inWords = (wrong: readonly Wrong[]): string[] => wrong.map(({ words }) => words);

async function wrongInMachine({ qemu, disks }: Subject, { kind, ended }: Ended): Promise<Wrong[]> {
  const wrong: Wrong[] = [];
  const { running } = (await qemu.monitor.execute('query-status')) as { running: boolean };
  if (!running) wrong.push({ verdict: 'machines left paused', words: 'the machine stands still' });
  const isLoaded = kind.leaves === 'snapshot' && ended === 'succeeded';
  const words = `does not hold ${isLoaded ? 'what was loaded' : 'what it held'}`;
  for (const { node } of disks)
    if (!(await guestReadPattern(qemu, node, isLoaded ? KEPT : PRESENT)))
      wrong.push({ verdict: 'other contents', words: `${node} ${words}` });
  return wrong;
}

function wrongEnd({ ended, hasQemuDied }: Ended): string[] {
  if (ended.includes('needs-operator')) return [`it ended as ${ended}`];
  if (ended.includes('snapshot-damaged')) return ['a snapshot is called damaged that nobody has damaged'];
  const isThere = !hasQemuDied && ended.includes('machine-gone');
  return isThere ? ['the machine is called gone, and was there all the time'] : [];
}

/** What `ledgerctl verify` has to say. */
export async function breaches(directory: string): Promise<Wrong[]> {
  const report = new Report();
  const file = join(directory, 'data/ledger.sqlite');
  const audited = await auditLog({ file, report, views: null, onProgress: quietly });
  await checkDisks({ world: realWorld(), report, audited, file, host: TEST_HOST, onProgress: quietly });
  return report.checks().flatMap(({ invariant, breaches: words }) =>
    as(
      VERDICT_OF[invariant] ?? 'wrong otherwise',
      words.map((why) => `${invariant}: ${why}`),
    ),
  );
}

const quietly = async (): Promise<void> => undefined;

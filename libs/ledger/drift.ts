import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { reportDisks } from './reports.ts';
import { requireIdle } from './require.ts';
import { DiskEvidence, Finding, type Standing } from './shapes.ts';
import { isWrongChain, type Snapshot, type Vm } from './vm.ts';

/* The disks are not what the ledger believes: what that means, said once. */

/**
 * Records a look at the whole machine, as far as it differs from the last one. Only while nothing is under way: what
 * an operation is just making looks like drift.
 *
 * @throws {Refusal} `vm-busy`
 */
export function reportDrift(command: CommandOf<'ReportDrift'>, vm: Vm): VmEvent[] {
  requireIdle(vm);
  const { disks, foreignTags, findings, stopped } = command;
  return [
    ...reportDisks({ type: 'ReportDisks', disks, foreignTags }, vm),
    ...(stopped || !areSame(findings, vm.drift) ? [driftFound(findings, vm, stopped)] : []),
  ];
}

/** The differences from here on, and where the snapshots stand for it. */
export function driftFound(findings: readonly Finding[], vm: Vm, stopped = false): VmEvent {
  const standings = [...vm.snapshots.values()].flatMap((snapshot) => standingOf(snapshot, findings) ?? []);
  return { type: 'DriftFound', data: { findings: [...findings], standings, stopped } };
}

/** Null: it stands where it stood. */
function standingOf(
  { id: snapshotId, status, whole }: Snapshot,
  findings: readonly Finding[],
): Standing | null {
  if (status === 'pending' || status === 'deleting') return null;
  const wanted = verdictOn(snapshotId, findings) ?? whole ?? status;
  return wanted === status ? null : { snapshotId, status: wanted };
}

/** Null: nothing was found against it. */
function verdictOn(snapshotId: string, findings: readonly Finding[]): 'lost' | 'suspect' | null {
  const against = findings.filter((finding) => finding.snapshotId === snapshotId).map(({ kind }) => kind);
  if (against.includes('missing')) return 'lost';
  return against.some((kind) => DAMAGING.has(kind)) ? 'suspect' : null;
}

const DAMAGING: ReadonlySet<string> = new Set<Finding['kind']>([
  'partial',
  'duplicate',
  'renamed',
  'wrong-chain',
]);

/** What is left when somebody has looked at a machine on a wrong chain, and has released it. */
export const withoutWrongChain = ({ drift }: Pick<Vm, 'drift'>): Finding[] =>
  drift.filter(({ kind }) => kind !== 'wrong-chain');

/** Something that an operator should know. */
export interface DriftCondition {
  readonly type: 'WrongChain' | 'Drift';
  readonly reason: string;
  readonly message: string;
}

/** One condition for what holds the VM, one for all else. */
export function driftConditions(findings: readonly Finding[]): DriftCondition[] {
  const wrong = findings.find(isWrongChain);
  const [first, ...more] = findings.filter((finding) => !isWrongChain(finding));
  const kinds = [...new Set([...(first ? [first] : []), ...more].map(({ kind }) => kind))];
  const rest = more.length > 0 ? ` (and ${more.length} more)` : '';
  return [
    ...(wrong ? [{ type: 'WrongChain' as const, reason: wrong.kind, message: wrong.message }] : []),
    ...(first
      ? [{ type: 'Drift' as const, reason: kinds.join(', '), message: `${first.message}${rest}` }]
      : []),
  ];
}

/** The log gives members back in another order than a look does. */
const areSame = (some: readonly Finding[], others: readonly Finding[]): boolean =>
  textOf(some) === textOf(others);

const textOf = (findings: readonly Finding[]): string => JSON.stringify(findings, MEMBERS);

const MEMBERS = [...Object.keys(Finding.shape), ...Object.keys(DiskEvidence.shape)];

import type { DataOf, VmEvent, VmEventOf } from './events.ts';
import { DiskEvidence, Finding, type Standing } from './shapes.ts';
import { isWrongChain, type Snapshot, type Vm } from './vm.ts';

/* The disks are not what the ledger believes: what that means, said once. */

/** Differences that one event lists, the gravest first, and what was seen of them; of one alone, and of all. */
export const FINDINGS_MAX = 500;
export const TRACES_OF_ONE_MAX = 128;
export const TRACES_MAX = 4_000;

/** What a look at a whole machine has found, as it is told. */
export type Drift = Omit<DataOf<'DriftFound'>, 'standings' | 'unlisted'> & { readonly unlisted: number };

/** The differences, those that are not listed counted. */
export type Listed = Pick<DataOf<'DriftFound'>, 'findings' | 'unlisted'>;

/** All differences that a look has found, and where the snapshots stand for it, those that are not listed included. */
export function driftFound(findings: readonly Finding[], vm: Vm, stopped: boolean): VmEventOf<'DriftFound'> {
  const against = Map.groupBy(findings, ({ snapshotId = '' }) => snapshotId);
  const standings = [...vm.snapshots.values()].flatMap(
    (snapshot) => standingOf(snapshot, against.get(snapshot.id) ?? []) ?? [],
  );
  return { type: 'DriftFound', data: { ...listed(findings), standings, stopped } };
}

function listed(findings: readonly Finding[]): Listed {
  const kept: Finding[] = [];
  let tracesCount = 0;
  for (const finding of findings.slice(0, FINDINGS_MAX)) {
    const evidence = finding.evidence.slice(0, TRACES_OF_ONE_MAX);
    tracesCount += evidence.length;
    if (tracesCount > TRACES_MAX) break;
    kept.push({ ...finding, evidence });
  }
  return withUnlisted(kept, findings.length - kept.length);
}

const withUnlisted = (findings: Finding[], unlisted: number): Listed => ({
  findings,
  ...(unlisted > 0 && { unlisted }),
});

interface Besides {
  /** Snapshots that are judged anew besides those that the differences were about. */
  readonly judgedToo?: readonly Snapshot[];
  /** Differences that have come instead. */
  readonly orphans?: readonly Finding[];
  /** Where the machine was found astray, and what it has spoiled: graver than all else. */
  readonly astray?: Astray;
}

/** A machine was found on a wrong chain: where, what its guest has written into, and whether it was stopped. */
export type Astray = Pick<Drift, 'findings' | 'stopped'>;

const NOT_ASTRAY: Astray = { findings: [], stopped: false };

/** What is recorded when some differences are over without a look: nothing when none is, and none has come. */
export function driftWithout(
  vm: Vm,
  isOver: (finding: Finding) => boolean,
  { judgedToo = [], orphans = [], astray = NOT_ASTRAY }: Besides = {},
): VmEvent[] {
  const over = vm.drift.filter(isOver);
  if (over.length + judgedToo.length + orphans.length + astray.findings.length === 0) return [];
  const left = [...astray.findings, ...vm.drift.filter((finding) => !isOver(finding)), ...orphans];
  const about = [...over, ...astray.findings].flatMap(({ snapshotId }) => snapshotId ?? []);
  const judged = new Set([...about, ...judgedToo.map(idOf)]);
  const standings = [...vm.snapshots.values()]
    .filter(({ id }) => judged.has(id))
    .flatMap(
      (snapshot) =>
        standingOf(
          snapshot,
          left.filter(({ snapshotId }) => snapshotId === snapshot.id),
        ) ?? [],
    );
  const { findings, unlisted = 0 } = listed(left);
  const data = { ...withUnlisted(findings, vm.unlistedDrift + unlisted), standings, stopped: astray.stopped };
  return [{ type: 'DriftFound', data }];
}

const idOf = ({ id }: Snapshot): string => id;

/** Null: it stands where it stood. */
function standingOf(
  { id: snapshotId, status, whole, spoiled }: Snapshot,
  against: readonly Finding[],
): Standing | null {
  if (status === 'pending' || status === 'deleting') return null;
  const wanted = verdictOf(against) ?? whole ?? status;
  const isSpoiled = against.some(({ kind }) => kind === 'wrong-chain');
  if (wanted === status && isSpoiled === (spoiled ?? false)) return null;
  return { snapshotId, status: wanted, ...(isSpoiled && { spoiled: true }) };
}

/** Null: nothing was found against it. */
function verdictOf(against: readonly Finding[]): 'lost' | 'suspect' | null {
  if (against.some(({ kind }) => kind === 'missing')) return 'lost';
  return against.some(({ kind }) => DAMAGING.has(kind)) ? 'suspect' : null;
}

const DAMAGING: ReadonlySet<string> = new Set<Finding['kind']>([
  'partial',
  'duplicate',
  'renamed',
  'wrong-chain',
]);

/** Somebody has looked at a machine on a wrong chain, and at what it has written into, and takes it as it is. */
export const releasedDrift = (vm: Vm): VmEvent[] =>
  driftWithout(vm, ({ kind }) => kind === 'wrong-chain', {
    judgedToo: [...vm.snapshots.values()].filter(({ spoiled }) => spoiled),
  });

/**
 * A load has put the machine where the ledger says; and what is gone cannot be damaged. `orphans` are what is left of
 * that.
 */
export const driftAfterLoad = (
  vm: Vm,
  goneIds: readonly string[],
  orphans: readonly Finding[] = [],
): VmEvent[] =>
  driftWithout(vm, (finding) => isWrongChain(finding) || isOfCurrent(finding) || isOf(finding, goneIds), {
    orphans,
  });

/** What the present stands on is known anew. */
export const driftAfterCreate = (vm: Vm): VmEvent[] => driftWithout(vm, isOfCurrent);

/** What is gone cannot be damaged. `orphans` are what is left of it. */
export const driftAfterDelete = (
  vm: Vm,
  goneIds: readonly string[],
  orphans: readonly Finding[] = [],
): VmEvent[] => driftWithout(vm, (finding) => isOf(finding, goneIds), { orphans });

/**
 * As after a delete of what a load has let go before it failed. And a machine that was found astray may be off by the next
 * look: then nothing tells any more what its guest has written into.
 */
export function driftAfterFailure(
  vm: Vm,
  goneIds: readonly string[],
  { orphans = [], astray: { findings, stopped } = NOT_ASTRAY }: Pick<Besides, 'orphans' | 'astray'>,
): VmEvent[] {
  const found = findings.filter((finding) => !isOf(finding, goneIds));
  const isToldAnew = (known: Finding): boolean =>
    found.some(
      (finding) =>
        (isWrongChain(finding) && isWrongChain(known)) ||
        (finding.kind === known.kind &&
          finding.snapshotId === known.snapshotId &&
          finding.file === known.file),
    );
  const isOver = (known: Finding): boolean => isOf(known, goneIds) || isToldAnew(known);
  return driftWithout(vm, isOver, { orphans, astray: { findings: found, stopped } });
}

const isOfCurrent = ({ kind }: Finding): boolean => kind === 'wrong-current';

/** Of the present snapshot it may be said that it is not what the machine stands on, and that is nothing against it. */
const isOf = ({ snapshotId }: Finding, ids: readonly string[]): boolean =>
  snapshotId !== undefined && ids.includes(snapshotId);

/** Something that an operator should know. */
export interface DriftCondition {
  readonly type: 'WrongChain' | 'Drift';
  readonly reason: string;
  readonly message: string;
}

/** One condition for what holds the VM, one for all else. */
export function driftConditions({ findings, unlisted = 0 }: Listed): DriftCondition[] {
  const wrong = findings.find(isWrongChain);
  const [first, ...more] = findings.filter((finding) => !isWrongChain(finding));
  const kinds = [...new Set([...(first ? [first] : []), ...more].map(({ kind }) => kind))];
  const moreCount = more.length + unlisted;
  const rest = moreCount > 0 ? ` (and ${moreCount} more)` : '';
  return [
    ...(wrong ? [{ type: 'WrongChain' as const, reason: wrong.kind, message: wrong.message }] : []),
    ...(first
      ? [{ type: 'Drift' as const, reason: kinds.join(', '), message: `${first.message}${rest}` }]
      : []),
  ];
}

/** What the last look has found, and what was found over since. */
export const knownDrift = ({ drift, unlistedDrift }: Readonly<Vm>): Listed =>
  withUnlisted([...drift], unlistedDrift);

/** Whether somebody who has seen the one is told nothing new by the other. */
export const isSameDrift = (one: Listed, other: Listed): boolean => textOf(one) === textOf(other);

/** The log gives members back in another order than a look does. */
const textOf = ({ findings, unlisted = 0 }: Listed): string => JSON.stringify([unlisted, findings], MEMBERS);

const MEMBERS = [...Object.keys(Finding.shape), ...Object.keys(DiskEvidence.shape)];

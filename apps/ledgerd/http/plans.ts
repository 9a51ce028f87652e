import { type Asked, digestOf, StaleVersion } from '#event-store';
import type { Plan } from '#hypervisor';
import {
  type AcceptedPlan,
  afterwards,
  type CommandOf,
  decide,
  type OpenOperation,
  Refusal,
  type Vm,
  type VmEvent,
  wishIn,
} from '#ledger';
import { foreseenTree, type LineageNode } from '#views';
import { rfc3339 } from '#world';
import { streamOf } from '../ledger.ts';
import { requireReached } from './freshness.ts';
import type { House } from './house.ts';
import { requireFollowing } from './ready.ts';
import { hypervisorOf } from './registering.ts';
import { positionAfter } from './shown.ts';

/** A plan shows no more of the tree than this. */
export const PLAN_NODES_MAX = 1_000;

/** What a worker carries out on a machine, as somebody asks for it. */
export interface Work {
  readonly vmId: string;
  /** Whether the new snapshot's id is the caller's. */
  readonly isIdGiven: boolean;
  readonly command: (ids: Ids) => WorkCommand;
}

export type WorkCommand = CommandOf<
  'CreateSnapshot' | 'LoadSnapshot' | 'DeleteSnapshot' | 'DeleteAllSnapshots'
>;

/** Those that are made up for one piece of work. */
export interface Ids {
  readonly operationId: string;
  readonly snapshotId: string;
  readonly pinId: string;
}

/** What the work would do, as it is answered. */
export interface ShownPlan extends Omit<Plan, 'basis' | 'report'> {
  readonly hash: string;
  readonly tree: readonly LineageNode[];
  /** How many nodes the tree would have in all. */
  readonly treeSize: number;
}

export interface Planned {
  readonly accepted: AcceptedPlan;
  /** Whoever accepts the plan gets these, so that files are called as it says. */
  readonly ids: Ids;
  /** The plan holds as long as the stream is there. */
  readonly version: number;
  readonly shown: ShownPlan;
}

/**
 * What some work would do if it was asked for now. Records nothing and touches nothing.
 *
 * @throws {Refusal} whatever the request itself would be refused with, at once or by its worker before it begins
 * @throws {StaleVersion} as the request would
 */
export async function planFor(house: House, work: Work, { expectedVersion }: Asked): Promise<Planned> {
  requireFollowing(house);
  const { vmId } = work;
  const { state, version } = await house.ledgers.vms.state(streamOf(vmId));
  if (expectedVersion !== undefined && expectedVersion !== version)
    throw new StaleVersion(expectedVersion, version);
  const wish = decide(work.command(idsOf('')), state).map((event) => wishIn(event, work.isIdGiven));
  const ids = idsOf(digestOf({ vmId, version, wish }));
  const { vm, events, operation } = afterwards(state, work.command(ids)); // From here on nothing of the ledger's own is held.
  const plan = operation ? await machinePlan(house, vm, operation) : ledgerPlan(events);
  const { basis, report, ...told } = plan;
  const hash = digestOf({ vmId, version, wish, basis });
  const after = report ? afterwards(vm, report).vm : vm;
  const tree = await treeOf(house, after, { version, report });
  return { accepted: { hash, basis }, ids, version, shown: { hash, ...told, ...tree } };
}

/**
 * The same for the same wish at the same moment of a VM's life; nobody else ever gets them, for a stream is never at
 * one version twice.
 */
function idsOf(seed: string): Ids {
  const idFor = (what: string): string => {
    const hex = digestOf([seed, what]);
    // RFC 9562, version 8: made as we like.
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  };
  return { operationId: idFor('operation'), snapshotId: idFor('snapshot'), pinId: idFor('pin') };
}

type AnyPlan = Omit<Plan, 'report'> & { readonly report: Plan['report'] | null };

const machinePlan = (house: House, vm: Vm, operation: OpenOperation): Promise<Plan> =>
  hypervisorOf(house, vm.host).plan(vm, operation);

/** Of what needs no machine: it is recorded, and done. */
const ledgerPlan = (events: readonly VmEvent[]): AnyPlan => ({
  basis: '',
  commands: events.map(({ type }) =>
    type === 'SnapshotRetired' ? 'hide the snapshot and keep its data' : `record ${type}`,
  ),
  filesCreated: [],
  filesUnlinked: [],
  snapshotsDiscarded: [],
  bytes: 0,
  stops: { machine: false, estimatedMs: 0 },
  report: null,
});

async function treeOf(
  house: House,
  after: Vm,
  { version, report }: { readonly version: number; readonly report: AnyPlan['report'] },
): Promise<Pick<ShownPlan, 'tree' | 'treeSize'>> {
  await requireReached(house, positionAfter(house).position ?? null);
  const { views, world } = house;
  const consistency = report?.type === 'ReportCreated' ? report.created.consistency : null;
  const { nodes, totalSize } = foreseenTree(
    after,
    (id) => views.snapshot(after.id, id, { version })?.body ?? null,
    { unborn: { createdAt: rfc3339(world.clock.now()), consistency }, nodesMax: PLAN_NODES_MAX },
  );
  return { tree: nodes, treeSize: totalSize };
}

/** @throws {Refusal} `plan-changed` when this is not the plan that was accepted */
export function requirePlan({ accepted }: Planned, hash: string): void {
  if (accepted.hash !== hash) throw planChanged();
}

export const planChanged = (): Refusal =>
  new Refusal('plan-changed', 'what would be done is not what that plan says: make a new one');

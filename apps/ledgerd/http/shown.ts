import type { Handled } from '#event-store';
import type { OrphanLeft } from '#hypervisor';
import {
  type Drift,
  type Orphan,
  Refusal,
  type RefusalCode,
  type RegistryEvent,
  type VmEvent,
} from '#ledger';
import { type Condition, operationFromRequest, type OperationView, type VmView } from '#views';
import { rfc3339 } from '#world';
import type { RepairPlan } from '../repair-plan.ts';
import { Answer, type AnswerFacts } from './answer.ts';
import { later, requireReached } from './freshness.ts';
import type { House } from './house.ts';
import { registrationIn } from './registering.ts';

/** A VM with what only the running worker knows of it. */
export type ShownVm = Omit<VmView, 'conditions'> & {
  readonly conditions: readonly (
    | Condition
    | { readonly type: 'Overdue' | 'MonitorHeld'; readonly reason: string; readonly message: string }
  )[];
};

/** An operation with what only the running worker knows of it. */
export type ShownOperation = Omit<OperationView, 'phase' | 'percent'> & {
  readonly phase: string;
  readonly percent: number | null;
};

/** What a look at a whole VM has found. */
export type ShownDrift = Drift & { readonly vmId: string };

/** What a repair has come to, and what another one would do now. */
export interface ShownRepair {
  readonly vmId: string;
  readonly plan: RepairPlan;
  readonly removed: readonly Orphan[];
  readonly left: readonly OrphanLeft[];
}

/** @throws {Refusal} with `code` when there is none */
export function found<T>(thing: T | null, code: RefusalCode, id: string): T {
  if (thing === null) throw new Refusal(code, `there is no ${code.replace('-unknown', '')} ${id}`);
  return thing;
}

/** @throws {Refusal} `vm-unknown` */
export const requireVm = ({ views }: House, vmId: string): void =>
  void found(views.vm(vmId), 'vm-unknown', vmId);

/** With what no event tells: it is so as long as this worker finds it so. */
export const withLive = (house: House, vm: VmView): ShownVm => ({
  ...vm,
  conditions: [...vm.conditions, ...overdue(house, vm), ...monitorHeld(house, vm)],
});

/** Past its deadline means that somebody should look, and nothing else: only evidence ends an operation. */
function overdue({ worker }: House, { id, operationId }: VmView): ShownVm['conditions'] {
  if (operationId === null || !worker.overdue().has(id)) return [];
  const message = 'the operation that is under way should have ended by now';
  return [{ type: 'Overdue', reason: 'deadline-passed', message }];
}

/** QEMU greets one client at a time: where nobody is greeted another one is served, and the machine is not off. */
function monitorHeld({ hypervisor, host: ours }: House, { host, monitor }: VmView): ShownVm['conditions'] {
  const since = host === ours ? (hypervisor?.heldSince({ monitor }) ?? null) : null;
  if (since === null) return [];
  const message = `since ${rfc3339(since)} nobody is greeted at ${monitor}: another client holds it, or QEMU stands still`;
  return [{ type: 'MonitorHeld', reason: 'occupied', message }];
}

export function withProgress({ worker }: House, operation: OperationView): ShownOperation {
  if (operation.done) return operation;
  const progress = worker.progressOf(operation.vmId);
  if (progress?.operationId !== operation.id) return operation;
  return { ...operation, phase: progress.phase, percent: progress.percent };
}

/** How far the log was when a command was answered: whoever demands it sees what the command did. */
export function positionAfter({ ledgers }: House): AnswerFacts {
  const position = later(ledgers.vms.acknowledged(), ledgers.registry.acknowledged());
  return position === null ? {} : { position };
}

/** A VM as it is right after its registration: no view has to have seen it for that. */
export function registeredVm(house: House, claimed: Handled<RegistryEvent>): Answer {
  const { vmId: id, foreignTags, disks, ...known } = registrationIn(claimed);
  const view: VmView = {
    id,
    ...known,
    disks: disks.map(({ readOnly: _readOnly, ...disk }) => disk),
    current: { snapshotId: null, confidence: foreignTags.length === 0 ? 'known' : 'assumed' },
    operationId: null,
    conditions: [],
  };
  return new Answer(201, view, {
    ...positionAfter(house),
    version: 1,
    location: `/v1/vms/${id}`,
    isReplayed: claimed.replayed,
  });
}

/** A VM as a command has left it, also when that was long ago. */
export async function vmAfter(house: House, vmId: string, handled: Handled<VmEvent>): Promise<Answer> {
  const facts = await factsAfter(house, handled);
  const { body } = found(house.views.vm(vmId, { version: handled.version }), 'vm-unknown', vmId);
  return new Answer(200, withLive(house, body), facts);
}

/** A snapshot as a command has left it, also when that was long ago. */
export async function snapshotAfter(
  house: House,
  { vmId, snapshotId }: { readonly vmId: string; readonly snapshotId: string },
  handled: Handled<VmEvent>,
): Promise<Answer> {
  const facts = await factsAfter(house, handled);
  const { views } = house;
  const shown = views.snapshot(vmId, snapshotId, { version: handled.version });
  return new Answer(200, found(shown, 'snapshot-unknown', snapshotId).body, facts);
}

/** What an operation is about, when the ledger has found nothing to do and so recorded none. */
export type Wanted = Pick<OperationView, 'id' | 'kind' | 'vmId' | 'snapshotId'>;

/** What was asked for, accepted and not done; a retirement is both. */
export function accepted(house: House, handled: Handled<VmEvent>, wanted: Wanted): Answer {
  const [request] = handled.events;
  const facts = factsOf(house, handled);
  if (!request) return new Answer(202, nothingToDo(wanted), facts);
  const operation = operationFromRequest(request);
  return new Answer(202, operation, { ...facts, location: `/v1/operations/${operation.id}` });
}

/** Asking for what is so already is no error. Nothing was recorded, so there is no place to find this at again. */
const nothingToDo = (wanted: Wanted): OperationView => ({
  ...wanted,
  done: true,
  outcome: 'succeeded',
  phase: 'done',
  percent: 100,
  steps: [],
  leftovers: [],
  message: 'there was nothing to do',
  response: { snapshotId: wanted.snapshotId },
});

/** What is said of a command's answer, once the views have reached it. */
export async function factsAfter(house: House, handled: Handled<VmEvent>): Promise<AnswerFacts> {
  const facts = factsOf(house, handled);
  await requireReached(house, facts.position ?? null);
  return facts;
}

function factsOf(house: House, { events, version, replayed }: Handled<VmEvent>): AnswerFacts {
  const position = events.at(-1)?.position;
  return {
    ...(position === undefined ? positionAfter(house) : { position }),
    version,
    isReplayed: replayed,
  };
}

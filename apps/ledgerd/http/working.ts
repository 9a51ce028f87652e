import { type Asked, type Handled, StaleVersion } from '#event-store';
import type { VmEvent } from '#ledger';
import { streamOf } from '../ledger.ts';
import { Answer } from './answer.ts';
import { ask, counted } from './commands.ts';
import type { House } from './house.ts';
import { planChanged, planFor, requirePlan, type Work, type WorkCommand } from './plans.ts';
import { accepted, type Wanted } from './shown.ts';

/** How somebody wants to know beforehand what work would do, or knows it already. */
export interface Forethought {
  readonly validateOnly?: boolean | undefined;
  readonly planHash?: string | undefined;
}

/**
 * Asks for work on a machine: it is accepted, and done later. With `validateOnly` it is only said what would be done,
 * and no idempotency key is bound; with a `planHash` just that is done, or nothing.
 *
 * @throws {Refusal} what the ledger says, `plan-changed`, and of a plan also what a look at the machine says
 */
export async function askForWork(
  house: House,
  work: Work,
  asked: Asked,
  { validateOnly = false, planHash }: Forethought,
): Promise<Answer> {
  if (validateOnly) return plan(house, work, asked, planHash);
  const { vmId } = work;
  const { ids } = house.world;
  const operationId = asked.correlationId;
  const command = work.command({ operationId, snapshotId: ids.uuid(), pinId: ids.uuid() });
  if (takesMachine(command)) house.worker.expect(vmId, command);
  const handled =
    planHash === undefined
      ? await ask(house, vmId, command, asked)
      : await askAsPlanned(house, work, asked, planHash);
  return accepted(house, handled, wantedBy(command, vmId));
}

async function plan(house: House, work: Work, asked: Asked, planHash: string | undefined): Promise<Answer> {
  const planned = await planFor(house, work, asked);
  if (planHash !== undefined) requirePlan(planned, planHash);
  return new Answer(200, { plan: planned.shown }, { version: planned.version });
}

/** A request that was answered before is not planned again: it is what has changed the machine since. */
function askAsPlanned(house: House, work: Work, asked: Asked, planHash: string): Promise<Handled<VmEvent>> {
  const { vms } = house.ledgers;
  const stream = streamOf(work.vmId);
  return counted(house, work.command(NO_IDS).type, async () => {
    const again = await vms.answered(stream, asked);
    if (again) return again;
    const planned = await planFor(house, work, asked);
    requirePlan(planned, planHash);
    const { version: expectedVersion, ids } = planned;
    const command = { ...work.command(ids), plan: planned.accepted };
    try {
      return await vms.handle(stream, command, { ...asked, correlationId: ids.operationId, expectedVersion });
    } catch (error) {
      throw error instanceof StaleVersion ? planChanged() : error; // Somebody was faster than we.
    }
  });
}

/** A retirement is in the log alone. */
const takesMachine = (command: WorkCommand): boolean =>
  command.type !== 'DeleteSnapshot' || (command.strategy ?? 'retire') !== 'retire';

const NO_IDS = { operationId: '', snapshotId: '', pinId: '' };

function wantedBy(command: WorkCommand, vmId: string): Wanted {
  const { operationId: id } = command;
  switch (command.type) {
    case 'CreateSnapshot':
      return { id, kind: 'create', vmId, snapshotId: command.snapshotId };
    case 'LoadSnapshot':
      return { id, kind: 'load', vmId, snapshotId: command.snapshotId };
    case 'DeleteSnapshot': {
      const { snapshotId, strategy = 'retire' } = command;
      return { id, kind: strategy === 'retire' ? strategy : 'delete', vmId, snapshotId };
    }
    case 'DeleteAllSnapshots':
      return { id, kind: 'delete', vmId, snapshotId: null };
  }
}

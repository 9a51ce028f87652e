import { type OpenOperation, Refusal } from '#ledger';
import { orNotNow, wayOf } from '../carry-out.ts';
import { asRefusal } from '../look/discover.ts';
import type { Errand } from '../errand.ts';
import type { Foreseen, Plan } from './foreseen.ts';
import { ImageRefused } from '../qemu/images.ts';
import { presentDisks } from '../look/known-disks.ts';
import { look } from '../look/look.ts';
import { basisOf } from './plan-basis.ts';
import { foreseeCreate } from './plan-create.ts';
import { foreseeDelete } from './plan-delete.ts';
import { foreseeLoad } from './plan-load.ts';
import type { Start } from '../journal.ts';
import type { Sight } from '../look/sight.ts';
import { requireRightChain } from '../drift/wrong-chain.ts';

/**
 * What carrying an operation out would do. Looks just as if it was to be carried out, and then touches nothing.
 *
 * @throws {Refusal} what would end it before it began, and `host-unreachable` or `machine-busy` when nobody can tell now
 */
export async function planOf(errand: Errand, operation: OpenOperation): Promise<Plan> {
  try {
    return await orNotNow(() => lookAhead(errand, operation));
  } catch (error) {
    throw error instanceof ImageRefused ? new Refusal('disk-unsupported', error.message) : asRefusal(error);
  }
}

async function lookAhead(errand: Errand, operation: OpenOperation): Promise<Plan> {
  const sight = await look(errand.place, 'shared'); // Whoever only wants to know takes no lock.
  requireNoJob(sight);
  requireRightChain(errand.vm, sight);
  presentDisks(errand, sight);
  const start = await wayOf(errand, operation).admit(sight);
  const basis = basisOf(sight, start, operation);
  return { ...(await foresee(errand, operation, start, sight)), basis };
}

/** One of ours that still runs belongs to an operation that has not been told of its end. */
function requireNoJob({ ownJobs }: Sight): void {
  const job = ownJobs.find(({ hasConcluded }) => !hasConcluded);
  if (job) throw new Refusal('machine-busy', `our job ${job.id} still runs`);
}

function foresee(errand: Errand, operation: OpenOperation, start: Start, sight: Sight): Promise<Foreseen> {
  switch (operation.kind) {
    case 'create':
      return foreseeCreate(errand, start, sight);
    case 'load':
      return foreseeLoad(errand, operation, start, sight);
    case 'delete':
      return foreseeDelete(errand, operation, start, sight);
  }
}

import type { Mutant } from './mutant.ts';
import { EVENT_STORE_MUTANTS } from './of-the-event-store.ts';
import { HYPERVISOR_MUTANTS } from './of-the-hypervisor.ts';
import { LEDGER_MUTANTS } from './of-the-ledger.ts';
import { VIEWS_MUTANTS } from './of-the-views.ts';
import { WORKER_MUTANTS } from './of-the-worker.ts';

/** Every mistake that somebody must notice, room by room. */
export const ALL_MUTANTS: readonly Mutant[] = [
  ...LEDGER_MUTANTS,
  ...EVENT_STORE_MUTANTS,
  ...WORKER_MUTANTS,
  ...HYPERVISOR_MUTANTS,
  ...VIEWS_MUTANTS,
];

import type { Mutant } from './mutant.ts';
import { CREATE_MUTANTS } from './of-creates.ts';
import { DELETE_MUTANTS } from './of-deletes.ts';
import { LOAD_MUTANTS } from './of-loads.ts';
import { LOOK_MUTANTS } from './of-looks.ts';
import { EVENT_STORE_MUTANTS } from './of-the-event-store.ts';
import { LEDGER_MUTANTS } from './of-the-ledger.ts';
import { VIEWS_MUTANTS } from './of-the-views.ts';
import { WORKER_MUTANTS } from './of-the-worker.ts';

/** Every mistake that somebody must notice, room by room. */
export const ALL_MUTANTS: readonly Mutant[] = [
  ...LEDGER_MUTANTS,
  ...EVENT_STORE_MUTANTS,
  ...WORKER_MUTANTS,
  ...LOOK_MUTANTS,
  ...CREATE_MUTANTS,
  ...LOAD_MUTANTS,
  ...DELETE_MUTANTS,
  ...VIEWS_MUTANTS,
];

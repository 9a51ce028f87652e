import type { FailureCode } from '#ledger';
import {
  classifyRefusal,
  MonitorTrouble,
  QmpGarbled,
  QmpRefused,
  QmpUnknown,
  type RefusalCategory,
} from '#qmp';
import { FileTrouble } from '#world';
import { AgentTrouble } from './qemu/guest-agent.ts';
import { ImageRefused, ImageUnknown } from './qemu/images.ts';
import { LaunchTrouble } from './qemu/launcher.ts';
import { isJobOf } from './qemu/own-jobs.ts';
import type { Sight } from './look/sight.ts';

/** Why something we did has not simply succeeded. */
export type Trouble =
  /** Somebody said no. What was done before may still be there: a rollback can fail as well. */
  | {
      readonly kind: 'refused';
      readonly words: string;
      readonly category: RefusalCategory;
      /** What the operation fails of; absent: QEMU's words tell. */
      readonly reason?: FailureCode;
    }
  /** Nobody knows whether it was done; perhaps because QEMU went away meanwhile. */
  | { readonly kind: 'unknown'; readonly words: string };

/** We will not go on, for a reason of our own. */
export class Thwarted extends Error {
  override readonly name = 'Thwarted';
  readonly reason: FailureCode;
  constructor(reason: FailureCode, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Null for what is neither: a bug, or the end of the world. */
export function troubleFrom(error: unknown): Trouble | null {
  if (error instanceof QmpRefused) {
    const category = classifyRefusal(error.description, error.errorClass);
    return { kind: 'refused', words: error.description, category };
  }
  if (error instanceof ImageRefused) {
    return { kind: 'refused', words: error.message, category: classifyRefusal(error.message) };
  }
  if (error instanceof FileTrouble) {
    return {
      kind: 'refused',
      words: error.message,
      category: error.code === 'ENOSPC' ? 'no-space' : 'io-error',
    };
  }
  if (error instanceof Thwarted) {
    return { kind: 'refused', words: error.message, category: 'unknown', reason: error.reason };
  }
  if (error instanceof LaunchTrouble) return { kind: 'unknown', words: error.message };
  if (error instanceof AgentTrouble) return troubleOfAgent(error);
  const isUnknown =
    error instanceof QmpUnknown ||
    error instanceof QmpGarbled ||
    error instanceof MonitorTrouble ||
    error instanceof ImageUnknown;
  return isUnknown ? { kind: 'unknown', words: error.message } : null;
}

function troubleOfAgent({ kind, message: words }: AgentTrouble): Trouble {
  switch (kind) {
    case 'missing':
    case 'refused':
      return { kind: 'refused', words, category: 'unknown', reason: 'no-guest-agent' };
    case 'silent':
    case 'gone':
      return { kind: 'unknown', words };
  }
}

/** Whether a session ended under us. QEMU ends none: it dies. */
export const isLoss = (error: unknown): boolean =>
  error instanceof QmpUnknown ? error.cause === 'closed' : error instanceof MonitorTrouble;

/** Does something and tells what came of it, or what came in between. */
export async function attempt<T>(
  work: () => Promise<T>,
): Promise<
  { readonly result: T; readonly trouble: null } | { readonly result: null; readonly trouble: Trouble }
> {
  try {
    return { result: await work(), trouble: null };
  } catch (error) {
    const trouble = troubleFrom(error);
    if (!trouble) throw error;
    return { result: null, trouble };
  }
}

/** Does something and tells what came in between; null when nothing did. */
export const troubleIn = async (work: () => Promise<unknown>): Promise<Trouble | null> =>
  (await attempt(work)).trouble;

/** What a job of this operation, found in QEMU's list when we came back, says went wrong. */
export function troubleOfJob({ ownJobs }: Sight, operationId: string): Trouble | null {
  const job = ownJobs.findLast(({ id, error }) => isJobOf(operationId, id) && error !== null);
  if (!job || job.error === null) return null;
  return { kind: 'refused', words: job.error, category: classifyRefusal(job.error) };
}

/** What an operation fails of when QEMU or qemu-img said no in these words. */
export function reasonOf({ category, words, reason }: Extract<Trouble, { kind: 'refused' }>): FailureCode {
  if (reason) return reason;
  return /non-migratable device/.test(words) ? 'unsupported' : REASONS[category]; // Such a device stays.
}

const REASONS: Readonly<Record<RefusalCategory, FailureCode>> = {
  'name-conflict': 'id-used',
  'bad-request': 'refused-by-qemu',
  unsupported: 'disk-unsupported',
  'read-only': 'disk-unsupported',
  'node-gone': 'refused-by-qemu',
  busy: 'machine-busy',
  locked: 'machine-busy',
  'not-found': 'snapshot-damaged',
  'not-found-or-partial': 'snapshot-damaged',
  'no-vm-state': 'snapshot-damaged',
  'bitmap-blocks': 'not-loadable',
  'config-mismatch': 'config-mismatch',
  'no-space': 'no-space',
  'io-error': 'refused-by-qemu',
  'bad-run-state': 'machine-busy',
  'dry-run-ok': 'refused-by-qemu',
  protocol: 'refused-by-qemu',
  'guest-off': 'refused-by-qemu',
  unknown: 'refused-by-qemu',
};

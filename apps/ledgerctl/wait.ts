import type { ShownOperation } from './answers.ts';
import { route, type Answer } from './api.ts';
import { ownTrouble, type OwnReason, Trouble } from './problem.ts';
import { progressOf } from './progress.ts';
import type { Session } from './session.ts';

/** How long ledgerd holds back its answer when nothing has ended: how old the progress shown can be. */
const POLL = '1s';
/** We never ask more often, even when something between us and ledgerd answers at once. */
const POLL_MIN_MS = 200;
/** ledgerd may be away for so long, as when it is restarted, before we stop waiting for it. */
const ABSENCE_MAX_MS = 60_000;
const ABSENCE_PAUSE_MS = 1_000;

export interface WaitOptions {
  /** False: return as soon as it is accepted. */
  readonly wait?: boolean;
  /** Seconds; absent: until it ends. */
  readonly timeout?: number;
}

/**
 * Waits until an operation has ended, showing how far it is. Throws a `Trouble` that says how to go on watching
 * when the person stops it, the time is up, or ledgerd stays away: the operation itself goes on in each case.
 */
export async function waitFor(
  session: Session,
  accepted: Answer<ShownOperation>,
  { timeout = Infinity }: WaitOptions,
): Promise<Answer<ShownOperation>> {
  if (accepted.body.done) return accepted;
  const { clock } = await session.around.world();
  const progress = progressOf(session);
  const endsAt = clock.monotonic() + timeout * 1_000;
  let answer = accepted;
  let seenAt = clock.monotonic();
  while (!answer.body.done) {
    await progress.show(answer.body);
    const askedAt = clock.monotonic();
    const why = whyStop(session, { isLate: askedAt >= endsAt, absentMs: askedAt - seenAt });
    if (why) {
      await progress.clear();
      throw goesOn(answer.body, why);
    }
    const seen = await look(session, answer.body);
    if (seen) [answer, seenAt] = [seen, clock.monotonic()];
    const restMs = (seen ? POLL_MIN_MS : ABSENCE_PAUSE_MS) - (clock.monotonic() - askedAt);
    if (!answer.body.done && restMs > 0) await clock.sleep(restMs, session.around.interrupted);
  }
  await progress.clear();
  return answer;
}

/** Why nobody waits any longer, in words; null when there is no reason. */
function whyStop(
  { api, around }: Session,
  { isLate, absentMs }: { isLate: boolean; absentMs: number },
): string | null {
  if (around.interrupted.aborted) return 'you stopped waiting';
  if (isLate) return 'the time to wait is up';
  return absentMs < ABSENCE_MAX_MS ? null : `${api.url} has been away for ${ABSENCE_MAX_MS / 1_000} s`;
}

/** Null when ledgerd cannot say just now. What was accepted goes on, whatever else it answers. */
async function look(session: Session, { id, kind }: ShownOperation): Promise<Answer<ShownOperation> | null> {
  try {
    return await session.api.get<ShownOperation>(route('operations', id), 'outcome', { wait: POLL });
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    const { reason, retryable, detail } = error.problem;
    if (retryable || PASSING.has(reason)) return null;
    throw goesOn({ id, kind }, `ledgerd cannot say how it goes (${reason}: ${detail})`);
  }
}

/** Reasons that may be gone at the next look. */
const PASSING: ReadonlySet<string> = new Set<OwnReason>(['cannot-connect', 'interrupted', 'not-ledgerd']);

const goesOn = ({ id, kind }: Pick<ShownOperation, 'id' | 'kind'>, why: string): Trouble =>
  ownTrouble('outcome-unknown', `${why}; the ${kind} goes on`, {
    operationId: id,
    next: `ledgerctl operation ${id} --wait goes on waiting, ledgerctl operation ${id} shows how far it is`,
  });

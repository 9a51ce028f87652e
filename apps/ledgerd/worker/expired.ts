import type { FailureCode, Report } from '#ledger';

/** How long an operation may wait for its machine before it ends as `expired`. Nothing was touched until then. */
export const START_DEADLINE_MS = 120_000;

/** The end of an operation that could not begin. `obstacle`: what was last in its way, in words. */
export const expired = (operationId: string, obstacle: string): Report => ({
  type: 'ReportFailed',
  failed: {
    operationId,
    reason: 'expired' satisfies FailureCode,
    message: `it could not begin within ${START_DEADLINE_MS / 1000} s: ${obstacle}`,
    outcome: 'undone',
    leftovers: [],
    steps: [],
    transcriptDigest: '',
  },
});

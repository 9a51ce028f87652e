import type { FailureCode } from '#ledger';

/** How often a machine that does not answer is asked again while an operation on it is open. */
const PROBE_AGAIN_MS = 2_000;

/** Nothing was decided: come back after `afterMs` and look again. The operation stays open. */
export class NotNow extends Error {
  override readonly name = 'NotNow';
  readonly reason: FailureCode;
  readonly afterMs: number;
  constructor(reason: FailureCode, message: string, afterMs = PROBE_AGAIN_MS, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.afterMs = afterMs;
  }
}

/**
 * Why the ledger says no. Closed: every code has one HTTP status, one sentence and a place in the contract.
 * Codes that only a look at the machine can give end up as the reason of a failed operation.
 */
export const REFUSAL_CODES = [
  'invalid-body',
  'invalid-query',
  'vm-unknown',
  'snapshot-unknown',
  'operation-unknown',
  'route-unknown',
  'method-not-allowed',
  'vm-busy',
  'machine-busy',
  'vm-held',
  'not-loadable',
  'not-complete',
  'config-mismatch',
  'snapshot-damaged',
  'name-taken',
  'id-used',
  'monitor-taken',
  'image-taken',
  'has-children',
  'would-discard',
  'in-use',
  'protected',
  'too-many-snapshots',
  'not-cancelable',
  'stale-version',
  'plan-changed',
  'too-large',
  'media-type',
  'unsupported',
  'invalid-name',
  'invalid-combination',
  'nothing-to-snapshot',
  'disk-unsupported',
  'path-not-allowed',
  'not-a-monitor',
  'needs-power-off',
  'needs-power-on',
  'no-guest-agent',
  'key-reused',
  'host-unreachable',
  'view-behind',
  'store-unavailable',
  'log-newer',
  'internal',
  'no-space',
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** Reasons that only a failed operation has, besides every `RefusalCode`. */
export const FAILURE_CODES = ['expired', 'machine-gone', 'refused-by-qemu', 'canceled'] as const;
export type FailureCode = RefusalCode | (typeof FAILURE_CODES)[number];

const RETRYABLE: ReadonlySet<string> = new Set<RefusalCode>([
  'vm-busy',
  'machine-busy',
  'host-unreachable',
  'view-behind',
  'store-unavailable',
  'log-newer',
]);

/** Whether the same request may succeed later without anybody changing it. */
export const isRetryable = (code: string): boolean => RETRYABLE.has(code);

/** Facts that travel with a refusal, e.g. the id of the operation that is in the way. */
export type RefusalDetails = Readonly<Record<string, string | readonly string[]>>;

/** The ledger says no, nothing has changed. Everything else that is thrown is a bug or a lost connection. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  readonly details: RefusalDetails;
  constructor(code: RefusalCode, message: string, details: RefusalDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

import { KeyReused, StaleVersion, StoreTrouble, UnknownEvent, VersionConflict } from '#event-store';
import { isRetryable, Refusal, type RefusalCode } from '#ledger';

/** The one place where a reason becomes an HTTP status. A reason without a status does not compile. */
export const STATUS: Record<RefusalCode, number> = {
  'invalid-body': 400,
  'invalid-query': 400,
  'vm-unknown': 404,
  'snapshot-unknown': 404,
  'operation-unknown': 404,
  'route-unknown': 404,
  'method-not-allowed': 405,
  'vm-busy': 409,
  'machine-busy': 409,
  'vm-held': 409,
  'not-loadable': 409,
  'not-complete': 409,
  'config-mismatch': 409,
  'snapshot-damaged': 409,
  'name-taken': 409,
  'id-used': 409,
  'monitor-taken': 409,
  'image-taken': 409,
  'has-children': 409,
  'would-discard': 409,
  'in-use': 409,
  protected: 409,
  'too-many-snapshots': 409,
  'not-cancelable': 409,
  'stale-version': 412,
  'plan-changed': 412,
  'too-large': 413,
  'media-type': 415,
  unsupported: 422,
  'invalid-name': 422,
  'invalid-combination': 422,
  'nothing-to-snapshot': 422,
  'disk-unsupported': 422,
  'path-not-allowed': 422,
  'not-a-monitor': 422,
  'needs-power-off': 422,
  'needs-power-on': 422,
  'no-guest-agent': 422,
  'key-reused': 422,
  internal: 500,
  'host-unreachable': 503,
  'view-behind': 503,
  'store-unavailable': 503,
  'log-newer': 503,
  'no-space': 507,
};

/** How long a client should leave us alone before it asks again. */
const RETRY_AFTER_S = 1;

/** The body of every answer that is not the one asked for (RFC 9457). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason: RefusalCode;
  readonly retryable: boolean;
  /** Names this very answer: the `X-Request-Id` under which the log knows it. */
  readonly instance: string;
  readonly [fact: string]: unknown;
}

/** What an error is to those who asked; what they may not see becomes `internal`. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof KeyReused) return new Refusal('key-reused', error.message);
  if (error instanceof StaleVersion)
    return new Refusal('stale-version', error.message, { version: String(error.actual) });
  if (error instanceof StoreTrouble) return refusedByStore(error);
  if (error instanceof UnknownEvent) return new Refusal('log-newer', error.message);
  if (error instanceof VersionConflict) return new Refusal('store-unavailable', error.message);
  return new Refusal('internal', 'something went wrong that should not have; the log of the daemon has more');
}

function refusedByStore({ kind, message }: StoreTrouble): Refusal {
  switch (kind) {
    case 'full':
      return new Refusal('no-space', message);
    case 'newer':
      return new Refusal('log-newer', message);
    case 'locked':
    case 'damaged':
    case 'foreign':
    case 'unavailable':
      return new Refusal('store-unavailable', message);
  }
}

export function problemOf({ code, message, details }: Refusal, requestId: string): Problem {
  return {
    ...details,
    type: `urn:snapledger:reason:${code}`,
    title: titleOf(code),
    status: STATUS[code],
    detail: message,
    reason: code,
    retryable: isRetryable(code),
    instance: `urn:uuid:${requestId}`,
  };
}

/** Headers that belong to a reason: when to come back, and what would be allowed. */
export function problemHeaders({ code, details }: Refusal): Record<string, string> {
  const { allow } = details;
  return {
    ...(isRetryable(code) && { 'retry-after': String(RETRY_AFTER_S) }),
    ...(code === 'method-not-allowed' && Array.isArray(allow) && { allow: allow.join(', ') }),
  };
}

const titleOf = (code: RefusalCode): string => {
  const words = code.replaceAll('-', ' ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
};

import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Asked, Json } from '#event-store';
import { Refusal } from '#ledger';
import type { HttpHeaders, HttpRequest } from './wire.ts';

/** 1 to 255 characters of printable ASCII. */
const KEY = /^[\x20-\x7e]{1,255}$/;
const ETAG = /^"([^"]*)"$/;
const VERSION = /^(0|[1-9]\d{0,14})$/;
/** No stream ever is at this version, so nothing matches it. */
const NEVER = -1;

/** Nobody has to say who they are: without API keys we answer on loopback only. */
const ACTOR = 'http:anonymous';

/** Who asks, under which key and at which version: the headers of every command, said once. */
export const AskedBy = createParamDecorator((_: unknown, context: ExecutionContext): Asked =>
  askedIn(context.switchToHttp().getRequest()),
);

/**
 * The id of the request is also the correlation id of all that follows from it, and so the id of its operation.
 *
 * @throws {Refusal} `invalid-body` for a header that cannot be understood
 */
export function askedIn(request: HttpRequest): Asked {
  const key = keyIn(request.headers['idempotency-key']);
  const expectedVersion = versionIn(request.headers['if-match']);
  return {
    actor: ACTOR,
    correlationId: request.id,
    request: {
      route: `${request.method} ${request.routeOptions.url ?? ''}`,
      params: { ...(request.params as Readonly<Record<string, string>>) }, // The router's own class is no JSON.
      query: request.query as Json,
      body: (request.body ?? {}) as Json, // Parsed from JSON by `readBody`.
    },
    ...(key !== undefined && { key }),
    ...(expectedVersion !== undefined && { expectedVersion }),
  };
}

/** The same request without conditions: a command that makes something new has no version to be compared with. */
export const unconditional = ({ expectedVersion: _expectedVersion, ...asked }: Asked): Asked => asked;

/** The same request for a look beside it: a key is bound by what was asked for, and by nothing else. */
export const withoutKey = ({ key: _key, ...asked }: Asked): Asked => asked;

function keyIn(header: HttpHeaders[string]): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && KEY.test(header)) return header;
  throw new Refusal('invalid-body', 'Idempotency-Key must be 1 to 255 printable ASCII characters');
}

/** `*` asks for nothing that the command does not check anyway. What is no ETag of ours can match nothing. */
function versionIn(header: HttpHeaders[string]): number | undefined {
  if (header === undefined || header === '*') return undefined;
  const tag = ETAG.exec(String(header))?.[1];
  if (tag === undefined)
    throw new Refusal('invalid-body', 'If-Match must be one strong ETag, such as "7", or *');
  return VERSION.test(tag) ? Number(tag) : NEVER;
}

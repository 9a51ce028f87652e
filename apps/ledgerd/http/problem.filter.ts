import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { Refusal, type RefusalCode } from '#ledger';
import type { House } from './house.ts';
import { problemHeaders, problemOf, refusalOf } from './problem.ts';
import { BODY_BYTES_MAX } from './read-body.ts';
import type { RouteMap } from './route-map.ts';
import type { HttpReply, HttpRequest } from './wire.ts';

/** What the framework refuses by itself, by its status. */
const BY_STATUS: Readonly<Record<number, readonly [RefusalCode, string]>> = {
  413: ['too-large', `a body has ${BODY_BYTES_MAX} bytes at most`],
  415: ['media-type', 'a body must be application/json'],
};

/** Turns whatever is thrown into one kind of answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #log: House['log'];
  readonly #routes: RouteMap;

  constructor(log: House['log'], routes: RouteMap) {
    this.#log = log;
    this.#routes = routes;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<HttpRequest>(), http.getResponse<HttpReply>());
  }

  /** Also for what is refused before Nest has a say. */
  answer(error: unknown, request: HttpRequest, reply: HttpReply): void {
    const refusal = this.#refusalOf(error, request);
    if (refusal.code === 'internal')
      this.#log.error({ requestId: request.id, err: error }, 'a request failed');
    if (reply.raw.headersSent) return; // A stream broke off: its end tells.
    const problem = problemOf(refusal, request.id);
    reply.code(problem.status);
    reply.headers({
      ...problemHeaders(refusal),
      'content-type': 'application/problem+json',
      'x-request-id': request.id, // No hook has run for what is no path.
    });
    reply.send(problem);
  }

  #refusalOf(error: unknown, request: HttpRequest): Refusal {
    if (!(error instanceof HttpException)) return refusalOf(error);
    const status = error.getStatus();
    if (status === 404) return this.#nothingThere(request);
    if (status >= 500) return refusalOf(error);
    const [code, why] = BY_STATUS[status] ?? ['invalid-body', error.message];
    return new Refusal(code, why);
  }

  #nothingThere({ method, url }: HttpRequest): Refusal {
    const allow = this.#routes.methodsAt(url);
    if (allow.length === 0) return new Refusal('route-unknown', 'there is nothing under this path');
    return new Refusal('method-not-allowed', `${method} is not possible here: ${allow.join(', ')}`, {
      allow,
    });
  }
}

import { Readable } from 'node:stream';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { Refusal } from '#ledger';
import type { HttpReply, HttpRequest } from './wire.ts';

/** Clients that may be sent pieces of the log at the same time. Each holds a page of it and a socket. */
const STREAMS_MAX = 256;

/** Answers that go on for longer than one turn. */
export class Streams {
  #open = 0;

  get open(): number {
    return this.#open;
  }

  /**
   * A body that is made while it is read: nobody who reads slowly makes us hold more than one piece.
   *
   * @throws {Refusal} `store-unavailable` (retryable) when too many are open already
   */
  from(pieces: AsyncIterable<string>): Readable {
    if (this.#open >= STREAMS_MAX)
      throw new Refusal('store-unavailable', `${STREAMS_MAX} clients are streaming already: come back later`);
    this.#open += 1;
    const body = Readable.from(pieces);
    body.once('close', () => (this.#open -= 1));
    return body;
  }
}

/** Aborts when the client has gone, or has asked for no body to begin with. */
export const Gone = createParamDecorator((_: unknown, context: ExecutionContext): AbortSignal => {
  const http = context.switchToHttp();
  const gone = new AbortController();
  if (http.getRequest<HttpRequest>().method === 'HEAD') gone.abort();
  http.getResponse<HttpReply>().raw.once('close', () => gone.abort());
  return gone.signal;
});

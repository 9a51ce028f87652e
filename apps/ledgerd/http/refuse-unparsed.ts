import { Refusal } from '#ledger';
import { problemOf } from './problem.ts';

/** As much of a socket as is left to be used. */
interface Line {
  readonly writable: boolean;
  end(text: string): unknown;
  destroy(): unknown;
}

/** Answers what is not even HTTP, in the same shape as everything else, and hangs up. */
export function refuseUnparsed(error: Error & { code?: string }, socket: Line, requestId: string): void {
  if (!socket.writable) return void socket.destroy();
  const problem = problemOf(refusalOf(error), requestId);
  const body = JSON.stringify(problem);
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      'content-type: application/problem+json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function refusalOf({ code }: { code?: string }): Refusal {
  if (code === 'HPE_HEADER_OVERFLOW') return new Refusal('too-large', 'the headers are too large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Refusal('invalid-body', 'the request did not arrive in time');
  return new Refusal('invalid-body', 'the request is not HTTP');
}

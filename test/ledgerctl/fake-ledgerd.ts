import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it arrived. */
export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** What is answered; or the connection dies, with nothing said or in the middle of the answer; or nothing happens. */
export type Reply =
  | {
      readonly status?: number;
      readonly body?: object | string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | 'lost'
  | 'torn'
  | 'silent';

export type Route = Reply | ((heard: Heard, times: number) => Reply);

export interface FakeLedgerd {
  readonly url: string;
  /** Every request, in order. */
  readonly heard: readonly Heard[];
  close(): Promise<void>;
}

/**
 * Answers like ledgerd on the routes it is given (`GET /v1/vms`), with 404 `route-unknown` on all others. A function is
 * told how often its route was asked before.
 */
export async function fakeLedgerd(routes: Readonly<Record<string, Route>>): Promise<FakeLedgerd> {
  const heard: Heard[] = [];
  const times = new Map<string, number>();
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = await hear(request);
    heard.push(asked);
    const key = `${asked.method} ${asked.path}`;
    const before = times.get(key) ?? 0;
    times.set(key, before + 1);
    const route = routes[key] ?? problem(404, 'route-unknown', `there is no ${key}`);
    answer(response, typeof route === 'function' ? route(asked, before) : route);
  };
  const server = createServer((request, response) => {
    void serve(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    heard,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** A refusal as ledgerd says it. */
export const problem = (
  status: number,
  reason: string,
  detail: string,
  more: { retryable?: boolean; operationId?: string } = {},
): Reply => ({
  status,
  headers: { 'content-type': 'application/problem+json' },
  body: {
    type: `urn:snapledger:reason:${reason}`,
    title: reason,
    status,
    detail,
    reason,
    retryable: false,
    ...more,
  },
});

async function hear(request: IncomingMessage): Promise<Heard> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://fake');
  return {
    method: request.method ?? '',
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers: request.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

function answer(response: ServerResponse, reply: Reply): void {
  if (reply === 'silent') return;
  if (reply === 'lost') {
    response.socket?.destroy();
    return;
  }
  if (reply === 'torn') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"id":', () => response.socket?.destroy());
    return;
  }
  const { status = 200, body, headers = {} } = reply;
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'object' ? JSON.stringify(body) : body);
}

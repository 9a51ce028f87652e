import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { NoAnswer, type Http, type HttpAnswer, type HttpRequest } from './http.ts';

/** Requests of one run that may be under way at once. */
const SOCKETS_MAX = 4;

type Start = (url: string, options: RequestOptions) => ClientRequest;

/** HTTP through node, over connections that are kept for the next request. Loaded at the first request. */
export function realHttp(): Http {
  const starts = new Map<string, Promise<Start>>();
  return async (asked) => {
    const protocol = asked.url.startsWith('https:') ? 'https:' : 'http:';
    const start = starts.get(protocol) ?? openProtocol(protocol);
    starts.set(protocol, start);
    return send(await start, asked);
  };
}

async function openProtocol(protocol: 'http:' | 'https:'): Promise<Start> {
  const { Agent, request } = protocol === 'https:' ? await import('node:https') : await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  return (url, options) => request(url, { ...options, agent });
}

function send(start: Start, asked: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const { method, headers, signal, silenceMaxMs: timeout } = asked;
    const request = start(asked.url, { method, headers, signal, timeout });
    let wasSent = false;
    request.once('socket', (socket) => {
      wasSent = request.reusedSocket; // Such a socket is open already and says nothing when it is given out again.
      if (!wasSent)
        socket.once(asked.url.startsWith('https:') ? 'secureConnect' : 'connect', () => (wasSent = true));
    });
    request.once('response', (message) => resolve(answerOf(message)));
    request.on('error', (error) => reject(new NoAnswer(wordsOf(error), wasSent)));
    request.once('timeout', () => request.destroy(new Error(`it said nothing for ${timeout / 1_000} s`)));
    request.end(asked.body);
  });
}

const answerOf = (message: IncomingMessage): HttpAnswer => ({
  status: message.statusCode ?? 0,
  header(name) {
    const value = message.headers[name];
    return typeof value === 'string' ? value : '';
  },
  body: textOf(message),
});

async function* textOf(message: IncomingMessage): AsyncGenerator<string> {
  message.setEncoding('utf8');
  try {
    for await (const chunk of message) yield String(chunk);
  } catch (error) {
    throw new NoAnswer(wordsOf(error), true);
  }
}

/** Node hides what happened to each address of a name behind one error without words. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map((one) => wordsOf(one)).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}

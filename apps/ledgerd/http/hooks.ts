import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { Refusal } from '#ledger';
import { Answer } from './answer.ts';
import { requireFresh } from './freshness.ts';
import type { House } from './house.ts';
import type { RouteMap } from './route-map.ts';
import type { HttpRequest } from './wire.ts';

const DATA_PREFIX = '/v1/';

/** What every answer says about itself. Nothing of ours may be cached or taken for something else. */
const ALWAYS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

interface HookParts {
  readonly house: House;
  readonly routes: RouteMap;
}

/**
 * What is the same for every route: freshness, headers, one line in the log, one observation.
 * Gives back how many requests are under way.
 */
export function addHooks(adapter: FastifyAdapter, { house, routes }: HookParts): () => number {
  const fastify = adapter.getInstance();
  let underWay = 0;
  fastify.addHook('onRoute', ({ url, method }) => routes.add(url, [method].flat()));

  fastify.addHook('onRequest', (request, reply, done) => {
    underWay += 1;
    reply.raw.once('close', () => (underWay -= 1));
    reply.header('x-request-id', request.id);
    if (request.url.startsWith(DATA_PREFIX)) reply.headers(ALWAYS);
    if (!house.stopping.aborted) return done();
    reply.header('connection', 'close');
    done(new Refusal('store-unavailable', 'the daemon is stopping'));
  });

  fastify.addHook('preHandler', (request, reply, done) => {
    if (!request.url.startsWith(DATA_PREFIX)) return done();
    const claim = (): void => {
      const position = house.views.position(); // Taken before anything is read: what is shown is no older.
      if (position !== null) reply.header('snapledger-position', position);
      done();
    };
    if (readsNothing(request)) return claim();
    requireFresh(house, request.headers).then(claim, done);
  });

  fastify.addHook('preSerialization', (_, reply, payload, done) => {
    if (!(payload instanceof Answer)) return done(null, payload);
    reply.code(payload.status).headers(payload.headers());
    if (payload.body === undefined) reply.removeHeader('content-type');
    done(null, payload.body);
  });

  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request;
    const route = routeOptions.url ?? 'none';
    const facts = { requestId: request.id, method, route, status: reply.statusCode, ms: reply.elapsedTime };
    house.metrics.httpAnswered(method, route, reply.statusCode, reply.elapsedTime);
    if (isRead(method)) house.log.debug(facts, 'answered');
    else house.log.info(facts, 'answered');
    done();
  });
  return () => underWay;
}

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** A command rests on the log, not on the views, unless its sender has seen something they must have too. */
const readsNothing = ({ method, headers }: Pick<HttpRequest, 'method' | 'headers'>): boolean =>
  !isRead(method) && headers['snapledger-min-position'] === undefined;

import 'reflect-metadata';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Refusal } from '#ledger';
import type { World } from '#world';
import { setUpDocs } from './docs.ts';
import { DriftController } from './drift.controller.ts';
import { EventsController } from './events.controller.ts';
import { HealthController } from './health.controller.ts';
import { addHooks } from './hooks.ts';
import { HOUSE, type House } from './house.ts';
import { LineageController } from './lineage.controller.ts';
import { momentOf } from './moment.ts';
import { OperationsController } from './operations.controller.ts';
import { ProblemFilter } from './problem.filter.ts';
import { BODY_BYTES_MAX, readBody } from './read-body.ts';
import { readQuery } from './read-query.ts';
import { refuseUnparsed } from './refuse-unparsed.ts';
import { RouteMap } from './route-map.ts';
import { ShapePipe } from './shape.pipe.ts';
import { SnapshotsController } from './snapshots.controller.ts';
import { Streams } from './streaming.ts';
import { VmsController } from './vms.controller.ts';
import type { HttpReply, HttpRequest } from './wire.ts';

/** A request that has not arrived by then is given up: a body has 1 MiB at most. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than any id: what is too long for a path leads nowhere. */
const PARAMETER_LENGTH_MAX = 512;
/** After this long, answers that are still under way are cut off. */
const CLOSE_WITHIN_MS = 1_500;
const CLOSE_STEP_MS = 10;

export interface Served {
  /** `http://HOST:PORT`, with the port that was given when none was asked for. */
  readonly address: string;
  /** Accepts no more, lets what is under way end, and then hangs up. Nothing accepted is lost by it. */
  stop(): Promise<void>;
}

@Module({})
// oxlint-disable-next-line typescript/no-extraneous-class -- what is in it is said where it is opened.
class HttpModule {}

/** Opens the HTTP door of a house. Throws as `listen` does, e.g. EADDRINUSE. */
export async function serveHttp(
  house: House,
  at: { readonly host: string; readonly port: number },
): Promise<Served> {
  const routes = new RouteMap();
  const filter = new ProblemFilter(house.log, routes);
  const adapter = openAdapter(house, filter);
  const streams = new Streams();
  house.metrics.onScrape(() => momentOf(house, streams));
  const underWay = addHooks(adapter, { house, routes });
  const app = await NestFactory.create<NestFastifyApplication>(moduleOf(house, streams), adapter, {
    bodyParser: false, // Ours is stricter, see `readBody`.
    abortOnError: false,
    logger: {
      log: () => undefined,
      error: (message: unknown) =>
        house.log.error({ framework: String(message) }, 'trouble in the framework'),
      warn: (message: unknown) => house.log.warn({ framework: String(message) }, 'the framework warns'),
    },
  });
  app.useGlobalPipes(new ShapePipe());
  app.useGlobalFilters(filter);
  setUpDocs(app);
  await app.listen(at.port, at.host);
  return { address: addressOf(app), stop: () => close(app, underWay, house.world) };
}

const moduleOf = (house: House, streams: Streams): DynamicModule => ({
  module: HttpModule,
  controllers: [
    VmsController,
    SnapshotsController,
    DriftController,
    LineageController,
    OperationsController,
    EventsController,
    HealthController,
  ],
  providers: [
    { provide: HOUSE, useValue: house },
    { provide: Streams, useValue: streams },
  ],
});

function openAdapter(house: House, filter: ProblemFilter): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false, // `addHooks` says the same as a problem.
    genReqId: () => house.world.ids.uuid(),
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX, querystringParser: readQuery },
    clientErrorHandler: (error, socket) => refuseUnparsed(error, socket, house.world.ids.uuid()),
    frameworkErrors: (_error: unknown, request: HttpRequest, reply: unknown) =>
      filter.answer(new Refusal('route-unknown', 'this is no path'), request, reply as HttpReply),
    skipMiddie: true,
  });
  const fastify = adapter.getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, bytes, done) => {
    try {
      done(null, readBody(bytes as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  return adapter;
}

function addressOf(app: NestFastifyApplication): string {
  const { address, port, family } = app.getHttpServer().address() as {
    address: string;
    port: number;
    family: string;
  };
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`;
}

/** Hangs up as soon as nothing is under way: clients keep connections open, and may open some that say nothing. */
async function close(app: NestFastifyApplication, underWay: () => number, { clock }: World): Promise<void> {
  const closed = app.close();
  for (let waitedMs = 0; waitedMs < CLOSE_WITHIN_MS && underWay() > 0; waitedMs += CLOSE_STEP_MS) {
    await clock.sleep(CLOSE_STEP_MS);
  }
  app.getHttpServer().closeAllConnections();
  await closed;
}

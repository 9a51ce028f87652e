import type { Readable } from 'node:stream';
import { Controller, Get, Header, Headers, Inject, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { isPosition } from '#event-store';
import { Refusal } from '#ledger';
import { streamOf } from '../ledger.ts';
import { AnswersText } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { VmId } from './ids.ts';
import { logLines, requirePast, streamLines, watched } from './log-lines.ts';
import { LogQuery, StreamQuery } from './queries.ts';
import { Gone, Streams } from './streaming.ts';

const NDJSON = 'application/x-ndjson';
const SSE = 'text/event-stream';

/** The log itself: one event a line, as it was sealed. */
@ApiTags('events')
@Controller('v1')
export class EventsController {
  readonly #house: House;
  readonly #streams: Streams;

  constructor(@Inject(HOUSE) house: House, @Inject(Streams) streams: Streams) {
    this.#house = house;
    this.#streams = streams;
  }

  @Get('vms/:vm/events')
  @Header('content-type', NDJSON)
  @ApiOperation({ summary: 'Everything that ever happened to a VM, also after it was forgotten' })
  @AnswersText(200, NDJSON, 'One event a line')
  async ofVm(@VmId() vmId: string, @Query() { fromVersion = 1 }: StreamQuery): Promise<Readable> {
    const stream = streamOf(vmId);
    const { head } = await this.#house.store.read(stream, 1, 1);
    if (head.version === 0) throw new Refusal('vm-unknown', `there is no VM ${vmId}`);
    return this.#streams.from(streamLines(this.#house, stream, fromVersion));
  }

  @Get('events')
  @Header('content-type', NDJSON)
  @ApiOperation({ summary: 'The whole log after a position, to where it ends now' })
  @AnswersText(200, NDJSON, 'One event a line')
  async all(@Query() { afterPosition }: LogQuery, @Gone() gone: AbortSignal): Promise<Readable> {
    const head = await this.#house.store.head();
    if (afterPosition !== undefined) requirePosition(afterPosition, 'afterPosition');
    requirePast(afterPosition ?? '0', head);
    const signal = AbortSignal.any([gone, this.#house.stopping]);
    return this.#streams.from(logLines(this.#house, afterPosition ?? null, { head, signal }));
  }

  @Get('watch')
  @Header('content-type', SSE)
  @Header('cache-control', 'no-store')
  @ApiOperation({ summary: 'Follow the log; goes on after Last-Event-ID, else from now' })
  @AnswersText(200, SSE, 'Server-sent events whose id is the position')
  async watch(
    @Headers('last-event-id') lastEventId: string | undefined,
    @Query() { afterPosition }: LogQuery,
    @Gone() gone: AbortSignal,
  ): Promise<Readable> {
    const head = await this.#house.store.head();
    const after = lastEventId || afterPosition; // A browser that has seen nothing yet may send it empty.
    if (after !== undefined) {
      requirePosition(after, lastEventId ? 'Last-Event-ID' : 'afterPosition');
      requirePast(after, head);
    }
    const signal = AbortSignal.any([gone, this.#house.stopping]);
    return this.#streams.from(watched(this.#house, after ?? head, signal));
  }
}

function requirePosition(text: string, name: string): void {
  if (!isPosition(text)) throw new Refusal('invalid-query', `${name} must be a position, not "${text}"`);
}

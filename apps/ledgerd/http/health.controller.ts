import { Controller, Get, Header, Inject, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { AnswersNothing, AnswersText } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { NoQuery } from './queries.ts';
import { requireReady } from './ready.ts';

const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';

/** For those who run the daemon. */
@ApiTags('health')
@Controller()
export class HealthController {
  readonly #house: House;

  constructor(@Inject(HOUSE) house: House) {
    this.#house = house;
  }

  @Get('health/live')
  @ApiOperation({ summary: 'Whether the process answers at all' })
  @AnswersNothing(200, 'It does')
  live(@Query() _query: NoQuery): object {
    return { status: 'live' };
  }

  @Get('health/ready')
  @ApiOperation({ summary: 'Whether commands would be accepted' })
  @AnswersNothing(200, 'They would')
  async ready(@Query() _query: NoQuery): Promise<object> {
    await requireReady(this.#house);
    return { status: 'ready' };
  }

  @Get('metrics')
  @Header('content-type', PROMETHEUS)
  @ApiOperation({ summary: 'Numbers for Prometheus' })
  @AnswersText(200, PROMETHEUS, 'The text format of Prometheus')
  metrics(@Query() _query: NoQuery): Promise<string> {
    return this.#house.metrics.text();
  }
}

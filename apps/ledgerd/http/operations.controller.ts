import { Body, Controller, Get, HttpCode, Inject, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Asked } from '#event-store';
import { Answer } from './answer.ts';
import { AskedBy } from './asked.ts';
import { NoBody } from './bodies.ts';
import { cancelOperation } from './canceling.ts';
import { Answers } from './documented.ts';
import { requireReached } from './freshness.ts';
import { HOUSE, type House } from './house.ts';
import { OperationId } from './ids.ts';
import { given, NoQuery, OperationQuery, OperationsQuery, pageOf } from './queries.ts';
import { found, positionAfter, withProgress } from './shown.ts';
import { Gone } from './streaming.ts';
import { waitedMs, whenDone } from './waiting.ts';

/** Work that was accepted: how far it is, how it ended, and how to call it off. */
@ApiTags('operations')
@Controller('v1/operations')
export class OperationsController {
  readonly #house: House;

  constructor(@Inject(HOUSE) house: House) {
    this.#house = house;
  }

  @Get()
  @ApiOperation({ summary: 'List operations' })
  @Answers(200, 'Operations')
  list(@Query() query: OperationsQuery): object {
    const { vmId, done } = query;
    const { operations, ...page } = this.#house.views.operations({
      ...pageOf(query),
      ...given({ vmId, done }),
    });
    return { operations: operations.map((operation) => withProgress(this.#house, operation)), ...page };
  }

  @Get(':id')
  @ApiOperation({ summary: 'Show an operation; with wait, when it has ended' })
  @Answers(200, 'Operation')
  async show(
    @OperationId() id: string,
    @Query() { wait }: OperationQuery,
    @Gone() gone: AbortSignal,
  ): Promise<object> {
    const waitMs = wait === undefined ? 0 : waitedMs(wait);
    if (waitMs > 0) await whenDone(this.#house, id, { waitMs, gone });
    return withProgress(this.#house, found(this.#house.views.operation(id), 'operation-unknown', id));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Call an operation off: before it has started, and later while it copies (streams and backups)',
  })
  @Answers(200, 'Operation')
  async cancel(
    @OperationId() id: string,
    @Body() _body: NoBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const { vmId } = found(this.#house.views.operation(id), 'operation-unknown', id);
    const handled = await cancelOperation(this.#house, vmId, { ...asked, correlationId: id });
    const { position } = positionAfter(this.#house);
    await requireReached(this.#house, position ?? null);
    const operation = found(this.#house.views.operation(id), 'operation-unknown', id);
    return new Answer(200, operation, {
      ...(position !== undefined && { position }),
      ...(handled && { version: handled.version, isReplayed: handled.replayed }),
    });
  }
}

import { Controller, Get, Inject, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Answers } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { VmId } from './ids.ts';
import { given, LineageQuery, pageOf } from './queries.ts';
import { requireVm } from './shown.ts';

/** Which snapshot came from which. */
@ApiTags('lineage')
@Controller('v1/vms/:vm/lineage')
export class LineageController {
  readonly #house: House;

  constructor(@Inject(HOUSE) house: House) {
    this.#house = house;
  }

  @Get()
  @ApiOperation({ summary: 'The tree as flat nodes, each after its parent' })
  @Answers(200, 'Lineage')
  show(@VmId() vmId: string, @Query() query: LineageQuery): object {
    requireVm(this.#house, vmId);
    const { root, depth, implicit, asOf } = query;
    return this.#house.views.lineage(vmId, { ...pageOf(query), ...given({ root, depth, implicit, asOf }) });
  }
}

import { Body, Controller, Delete, Get, Inject, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Asked } from '#event-store';
import { Answer } from './answer.ts';
import { AskedBy } from './asked.ts';
import { CreateSnapshotBody, LoadSnapshotBody, NoBody, PatchSnapshotBody } from './bodies.ts';
import { captureIn } from './captures.ts';
import { ask } from './commands.ts';
import { Answers } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { type SnapshotIds, SnapshotPath, VmId } from './ids.ts';
import type { Work } from './plans.ts';
import {
  DeleteAllQuery,
  DeleteQuery,
  given,
  NoQuery,
  pageOf,
  PageQuery,
  PlannedQuery,
  SnapshotsQuery,
} from './queries.ts';
import { accepted, found, requireVm, snapshotAfter } from './shown.ts';
import { askForWork } from './working.ts';

/** Snapshots of one VM: what takes a machine is accepted and done later, the rest is done at once. */
@ApiTags('snapshots')
@Controller('v1/vms/:vm/snapshots')
export class SnapshotsController {
  readonly #house: House;

  constructor(@Inject(HOUSE) house: House) {
    this.#house = house;
  }

  @Post()
  @ApiOperation({ summary: 'Create a snapshot of all disks, or of none' })
  @Answers(202, 'Operation')
  @Answers(200, 'Planned')
  async create(
    @VmId() vmId: string,
    @Body() body: CreateSnapshotBody,
    @Query() query: PlannedQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const { id = null, planHash } = body;
    const { limits } = this.#house;
    const capture = captureIn(body);
    const work: Work = {
      vmId,
      isIdGiven: id !== null,
      command: ({ operationId, snapshotId }) => ({
        ...{ type: 'CreateSnapshot', operationId, snapshotId: id ?? snapshotId, limits },
        ...capture,
      }),
    };
    return askForWork(this.#house, work, asked, { ...query, planHash });
  }

  @Get()
  @ApiOperation({ summary: 'List the snapshots of a VM' })
  @Answers(200, 'Snapshots')
  list(@VmId() vmId: string, @Query() query: SnapshotsQuery): object {
    requireVm(this.#house, vmId);
    const { name, status, implicit, asOf } = query;
    const filter = given({ name, status, implicit, asOf, labels: query['label.'] });
    return this.#house.views.snapshots(vmId, { ...pageOf(query), ...filter });
  }

  @Delete()
  @ApiOperation({ summary: 'Delete all snapshots; the present content stays' })
  @Answers(202, 'Operation')
  @Answers(200, 'Planned')
  async deleteAll(
    @VmId() vmId: string,
    @Body() _body: NoBody,
    @Query() query: DeleteAllQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const work: Work = {
      vmId,
      isIdGiven: false,
      command: ({ operationId }) => ({ type: 'DeleteAllSnapshots', operationId }),
    };
    return askForWork(this.#house, work, asked, query);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Show a snapshot, also one that is gone' })
  @Answers(200, 'Snapshot')
  show(@SnapshotPath() { vmId, snapshotId }: SnapshotIds, @Query() _query: NoQuery): Answer {
    requireVm(this.#house, vmId);
    const { body, version } = found(
      this.#house.views.snapshot(vmId, snapshotId),
      'snapshot-unknown',
      snapshotId,
    );
    return new Answer(200, body, { version });
  }

  @Patch(':id')
  @ApiOperation({ summary: 'Rename, describe, label or protect a snapshot' })
  @Answers(200, 'Snapshot')
  async patch(
    @SnapshotPath() { vmId, snapshotId }: SnapshotIds,
    @Body() body: PatchSnapshotBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const { name, description, labels, protected: isProtected } = body;
    const patch = given({ name, description, labels, protected: isProtected });
    const handled = await ask(this.#house, vmId, { type: 'PatchSnapshot', snapshotId, ...patch }, asked);
    return snapshotAfter(this.#house, { vmId, snapshotId }, handled);
  }

  @Delete(':id')
  @ApiOperation({ summary: 'Retire a snapshot, or delete it by one of the strategies' })
  @Answers(202, 'Operation')
  @Answers(200, 'Planned')
  async delete(
    @SnapshotPath() { vmId, snapshotId }: SnapshotIds,
    @Body() _body: NoBody,
    @Query() query: DeleteQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const { strategy = 'retire' } = query;
    const work: Work = {
      vmId,
      isIdGiven: false,
      command: ({ operationId }) => ({ type: 'DeleteSnapshot', snapshotId, operationId, strategy }),
    };
    return askForWork(this.#house, work, asked, query);
  }

  @Post(':id/load')
  @ApiOperation({ summary: 'Load a snapshot: the machine goes on from there' })
  @Answers(202, 'Operation')
  @Answers(200, 'Planned')
  async load(
    @SnapshotPath() { vmId, snapshotId }: SnapshotIds,
    @Body() body: LoadSnapshotBody,
    @Query() query: PlannedQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const { then: resume, disksOnly, safety = 'disks', planHash } = body;
    const work: Work = {
      vmId,
      isIdGiven: false,
      command({ operationId, pinId }) {
        const pin = safety === 'none' ? undefined : { snapshotId: pinId, what: safety };
        return { type: 'LoadSnapshot', snapshotId, operationId, ...given({ resume, disksOnly, pin }) };
      },
    };
    return askForWork(this.#house, work, asked, { ...query, planHash });
  }

  @Post(':id/unretire')
  @ApiOperation({ summary: 'Take a retired snapshot back into use' })
  @Answers(202, 'Operation')
  async unretire(
    @SnapshotPath() { vmId, snapshotId }: SnapshotIds,
    @Body() _body: NoBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const handled = await ask(this.#house, vmId, { type: 'UnretireSnapshot', snapshotId }, asked);
    return accepted(this.#house, handled, { id: asked.correlationId, kind: 'unretire', vmId, snapshotId });
  }

  @Get(':id/ancestors')
  @ApiOperation({ summary: 'The path from a snapshot to its root, parent first' })
  @Answers(200, 'Ancestors')
  ancestors(@SnapshotPath() { vmId, snapshotId }: SnapshotIds, @Query() query: PageQuery): object {
    requireVm(this.#house, vmId);
    found(this.#house.views.snapshot(vmId, snapshotId), 'snapshot-unknown', snapshotId);
    return this.#house.views.ancestors(vmId, snapshotId, pageOf(query));
  }
}

import { Body, Controller, Delete, Get, Inject, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Asked } from '#event-store';
import { Answer } from './answer.ts';
import { AskedBy } from './asked.ts';
import { CreateSnapshotBody, LoadSnapshotBody, NoBody, PatchSnapshotBody } from './bodies.ts';
import { requireBuiltCapture, requireBuiltDelete, requireBuiltLoad } from './built.ts';
import { ask, askWork } from './commands.ts';
import { Answers } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { type SnapshotIds, SnapshotPath, VmId } from './ids.ts';
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
  async create(
    @VmId() vmId: string,
    @Body() body: CreateSnapshotBody,
    @Query() query: PlannedQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireBuiltCapture(body, query);
    const { name, description, labels, memory, diskOnly } = body;
    const disks = body.disks?.map(({ device, snapshot: mode }) => ({ device, mode }));
    const snapshotId = body.id ?? this.#house.world.ids.uuid();
    const command = {
      type: 'CreateSnapshot' as const,
      snapshotId,
      operationId: asked.correlationId,
      limits: this.#house.limits,
      ...given({ name, description, labels, memory, diskOnly, disks }),
    };
    const wanted = { id: asked.correlationId, kind: 'create' as const, vmId, snapshotId };
    return accepted(this.#house, await askWork(this.#house, vmId, command, asked), wanted);
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
  async deleteAll(
    @VmId() vmId: string,
    @Body() _body: NoBody,
    @Query() query: DeleteAllQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireBuiltDelete(query);
    const id = asked.correlationId;
    const handled = await askWork(this.#house, vmId, { type: 'DeleteAllSnapshots', operationId: id }, asked);
    return accepted(this.#house, handled, { id, kind: 'delete', vmId, snapshotId: null });
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
  async delete(
    @SnapshotPath() { vmId, snapshotId }: SnapshotIds,
    @Body() _body: NoBody,
    @Query() query: DeleteQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireBuiltDelete(query);
    const { strategy = 'retire' } = query;
    const id = asked.correlationId;
    const command = { type: 'DeleteSnapshot' as const, snapshotId, operationId: id, strategy };
    const handled = await (strategy === 'retire' ? ask : askWork)(this.#house, vmId, command, asked);
    return accepted(this.#house, handled, {
      id,
      kind: strategy === 'retire' ? strategy : 'delete',
      vmId,
      snapshotId,
    });
  }

  @Post(':id/load')
  @ApiOperation({ summary: 'Load a snapshot: the machine goes on from there' })
  @Answers(202, 'Operation')
  async load(
    @SnapshotPath() { vmId, snapshotId }: SnapshotIds,
    @Body() body: LoadSnapshotBody,
    @Query() query: PlannedQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireBuiltLoad(body, query);
    const { then: resume, disksOnly } = body;
    const id = asked.correlationId;
    const how = given({ resume, disksOnly });
    const command = { type: 'LoadSnapshot' as const, snapshotId, operationId: id, ...how };
    const handled = await askWork(this.#house, vmId, command, asked);
    return accepted(this.#house, handled, { id, kind: 'load', vmId, snapshotId });
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

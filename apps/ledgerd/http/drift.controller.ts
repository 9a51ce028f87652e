import { Body, Controller, Inject, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Asked, Handled } from '#event-store';
import type { OrphanLeft } from '#hypervisor';
import {
  decide,
  type Drift,
  type Finding,
  knownDrift,
  type Orphan,
  orphansIn,
  Refusal,
  type VmEvent,
} from '#ledger';
import { streamOf } from '../ledger.ts';
import { Answer } from './answer.ts';
import { AskedBy, unconditional, withoutKey } from './asked.ts';
import { repairPlan } from '../repair-plan.ts';
import { AdoptBody, NoBody, RepairBody } from './bodies.ts';
import { ask, counted } from './commands.ts';
import { Answers } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { VmId } from './ids.ts';
import { given, NoQuery, PlannedQuery } from './queries.ts';
import { factsAfter, found, requireVm, type ShownDrift, type ShownRepair } from './shown.ts';

/** How often a VM is looked at anew because more was found in it before the adoption was recorded. */
const ATTEMPTS_MAX = 3;

/** Where the disks are not what the ledger believes, and what becomes of what nobody knew. */
@ApiTags('vms')
@Controller('v1/vms')
export class DriftController {
  readonly #house: House;

  constructor(@Inject(HOUSE) house: House) {
    this.#house = house;
  }

  @Post(':vm/reconcile')
  @ApiOperation({ summary: 'Look whether the disks are what the ledger believes, and record what is not' })
  @Answers(200, 'Drift')
  async reconcile(
    @VmId() vmId: string,
    @Body() _body: NoBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireVm(this.#house, vmId);
    const { ledgers } = this.#house;
    const handled = (await ledgers.vms.answered(streamOf(vmId), asked)) ?? (await this.#look(vmId, asked));
    const drift: ShownDrift = { vmId, ...(await this.#driftAfter(vmId, handled)) };
    return new Answer(200, drift, await factsAfter(this.#house, handled));
  }

  @Post(':vm/repair')
  @ApiOperation({
    summary: 'Remove what no snapshot explains and bears our names, once its plan is accepted',
  })
  @Answers(200, 'Repair')
  async repair(
    @VmId() vmId: string,
    @Body() { planHash }: RepairBody,
    @Query() { validateOnly }: PlannedQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireVm(this.#house, vmId);
    if (validateOnly) return this.#repairPlan(vmId, asked);
    if (planHash === undefined)
      throw new Refusal('invalid-body', 'planHash is needed: ask with validateOnly=true first');
    const wanted = { asked, planHash };
    const result: { left: readonly OrphanLeft[] } = { left: [] };
    const handled = await counted(this.#house, 'StartRepair', async () => {
      const { handled, left } = await this.#house.worker.repair(vmId, wanted);
      result.left = left;
      return handled;
    });
    return new Answer(
      200,
      await this.#repaired(vmId, handled, result.left),
      await factsAfter(this.#house, handled),
    );
  }

  async #repairPlan(vmId: string, asked: Asked): Promise<Answer> {
    const { version } = await this.#look(vmId, withoutKey(asked));
    const { state } = await this.#house.ledgers.vms.state(streamOf(vmId));
    decide({ type: 'StartRepair', worker: '', orphans: orphansIn(state) }, state); // What would be refused is no plan.
    return new Answer(200, { vmId, plan: repairPlan(state), removed: [], left: [] }, { version });
  }

  /** Of an answer that is given again only what was found since tells what is left. */
  async #repaired(
    vmId: string,
    { events }: Handled<VmEvent>,
    left: readonly OrphanLeft[],
  ): Promise<ShownRepair> {
    const { state } = await this.#house.ledgers.vms.state(streamOf(vmId));
    const found = [
      ...left,
      ...orphansIn(state).map((orphan) => ({ ...orphan, why: 'the last look has found it' })),
    ];
    const orphans = events.flatMap(({ type, data }) => (type === 'RepairStarted' ? data.orphans : []));
    const whyOf = ({ file, tag }: Orphan): string | undefined =>
      found.find((one) => one.file === file && one.tag === tag)?.why;
    return {
      ...{ vmId, plan: repairPlan(state) },
      removed: orphans.filter((orphan) => whyOf(orphan) === undefined),
      left: orphans.flatMap((orphan) => {
        const why = whyOf(orphan);
        return why === undefined ? [] : [{ ...orphan, why }];
      }),
    };
  }

  @Post(':vm/adopt')
  @ApiOperation({ summary: 'Make snapshots of foreign ones that are on every disk; they keep their tags' })
  @Answers(200, 'Adoption')
  async adopt(
    @VmId() vmId: string,
    @Body() { names }: AdoptBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireVm(this.#house, vmId);
    const handled = await this.#adopted(vmId, names, asked);
    const facts = await factsAfter(this.#house, handled);
    const { views } = this.#house;
    const { version } = handled;
    const snapshots = handled.events.flatMap(({ type, data }) =>
      type === 'SnapshotAdopted'
        ? [
            found(views.snapshot(vmId, data.snapshotId, { version }), 'snapshot-unknown', data.snapshotId)
              .body,
          ]
        : [],
    );
    const { findings } = await this.#driftAfter(vmId, handled);
    return new Answer(200, { snapshots, left: findings.filter(isForeign) }, facts);
  }

  /** The look comes first, and is recorded: what is adopted is what stands in the log. The key is the adoption's. */
  async #adopted(vmId: string, names: string[] | undefined, asked: Asked): Promise<Handled<VmEvent>> {
    const { ledgers, world } = this.#house;
    const again = await ledgers.vms.answered(streamOf(vmId), asked);
    if (again) return again;
    for (let attempt = 1; ; attempt += 1) {
      await this.#look(vmId, withoutKey(attempt === 1 ? asked : unconditional(asked)));
      const { state } = await ledgers.vms.state(streamOf(vmId));
      const ids = state.drift.map(() => world.ids.uuid());
      const command = { type: 'AdoptSnapshots' as const, ...given({ names }), ids };
      try {
        return await ask(this.#house, vmId, command, unconditional(asked));
      } catch (error) {
        const isLate = error instanceof Refusal && error.code === 'plan-changed';
        if (!isLate || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  #look(vmId: string, asked: Asked): Promise<Handled<VmEvent>> {
    const { worker } = this.#house;
    return counted(this.#house, 'ReportDrift', () => worker.reconcile(vmId, asked));
  }

  /** A look that found what was known has recorded nothing. */
  async #driftAfter(vmId: string, { events }: Handled<VmEvent>): Promise<Drift> {
    const recorded = events.findLast(({ type }) => type === 'DriftFound');
    const { state } = await this.#house.ledgers.vms.state(streamOf(vmId));
    const known = { ...knownDrift(state), stopped: false };
    const { findings, stopped, unlisted = 0 } = recorded?.type === 'DriftFound' ? recorded.data : known;
    return { findings, stopped, unlisted };
  }
}

const isForeign = ({ kind, snapshotId }: Finding): boolean =>
  kind === 'foreign' || (kind === 'duplicate' && snapshotId === undefined);

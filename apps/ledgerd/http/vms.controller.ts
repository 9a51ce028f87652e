import { Body, Controller, Delete, Get, Inject, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Asked } from '#event-store';
import { Refusal } from '#ledger';
import { frozen, streamOf } from '../ledger.ts';
import { changeVm, forgetVm } from '../registration.ts';
import { Answer } from './answer.ts';
import { AskedBy, unconditional, withoutKey } from './asked.ts';
import { ChangeVmBody, NoBody, RegisterVmBody, ReleaseHoldBody } from './bodies.ts';
import { requireBuiltRegistration } from './built.ts';
import { counted } from './commands.ts';
import { Answers, AnswersNothing } from './documented.ts';
import { HOUSE, type House } from './house.ts';
import { VmId } from './ids.ts';
import { given, NoQuery, pageOf, PageQuery, VmsQuery } from './queries.ts';
import { changeOf, hypervisorOf, register } from './registering.ts';
import { released } from './releasing.ts';
import { found, positionAfter, registeredVm, vmAfter, withLive } from './shown.ts';

/** Machines: registered, changed, looked at, forgotten. */
@ApiTags('vms')
@Controller('v1/vms')
export class VmsController {
  readonly #house: House;

  constructor(@Inject(HOUSE) house: House) {
    this.#house = house;
  }

  @Post()
  @ApiOperation({ summary: 'Register a VM, after a look at it' })
  @Answers(201, 'Vm')
  async register(
    @Body() body: RegisterVmBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    requireBuiltRegistration(body);
    const claimed = await counted(this.#house, 'RegisterVm', () =>
      register(this.#house, body, unconditional(asked)),
    );
    return registeredVm(this.#house, claimed);
  }

  @Get()
  @ApiOperation({ summary: 'List the VMs, or look one up by its name' })
  @Answers(200, 'Vms')
  list(@Query() query: VmsQuery): object {
    const { vms, ...page } = this.#house.views.vms({ ...pageOf(query), ...given({ name: query.name }) });
    return { vms: vms.map((vm) => withLive(this.#house, vm)), ...page };
  }

  @Get(':vm')
  @ApiOperation({ summary: 'Show one VM' })
  @Answers(200, 'Vm')
  show(@VmId() vmId: string, @Query() _query: NoQuery): Answer {
    const { body, version } = found(this.#house.views.vm(vmId), 'vm-unknown', vmId);
    return new Answer(200, withLive(this.#house, body), { version });
  }

  @Patch(':vm')
  @ApiOperation({ summary: 'Change name, labels, monitor, guest agent, host or disk defaults' })
  @Answers(200, 'Vm')
  async change(
    @VmId() vmId: string,
    @Body() body: ChangeVmBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const handled = await counted(this.#house, 'ChangeVm', async () => {
      const { ledgers } = this.#house;
      const again = await ledgers.vms.answered(streamOf(vmId), asked);
      return again ?? changeVm(ledgers, vmId, await changeOf(this.#house, vmId, body), asked);
    });
    return vmAfter(this.#house, vmId, handled);
  }

  @Delete(':vm')
  @ApiOperation({ summary: 'Forget a VM; its images and its history stay' })
  @AnswersNothing(204, 'Forgotten')
  async forget(
    @VmId() vmId: string,
    @Body() _body: NoBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    const handled = await counted(this.#house, 'ForgetVm', () => forgetVm(this.#house.ledgers, vmId, asked));
    return new Answer(204, undefined, { ...positionAfter(this.#house), isReplayed: handled.replayed });
  }

  @Get(':vm/status')
  @ApiOperation({ summary: 'Look whether the VM can be snapshotted, and what stands in the way' })
  @Answers(200, 'Status')
  async status(@VmId() vmId: string, @Query() _query: NoQuery, @AskedBy() asked: Asked): Promise<object> {
    const { body } = found(this.#house.views.vm(vmId), 'vm-unknown', vmId);
    const { state } = await this.#house.ledgers.vms.state(streamOf(vmId));
    const seen = await hypervisorOf(this.#house, body.host).status(frozen(state));
    const { isOnWrongChain, ...status } = seen;
    if (isOnWrongChain) await this.#stop(vmId, asked);
    return status;
  }

  /** Whoever works on the VM sees for himself where it stands, and stops it. */
  async #stop(vmId: string, asked: Asked): Promise<void> {
    try {
      await this.#house.worker.reconcile(vmId, withoutKey(unconditional(asked)));
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'vm-busy') throw error;
    }
  }

  @Get(':vm/history')
  @ApiOperation({ summary: 'What was done, when and by whom, oldest first' })
  @Answers(200, 'History')
  history(@VmId() vmId: string, @Query() query: PageQuery): object {
    const history = this.#house.views.history(vmId, pageOf(query));
    return found(history.totalSize > 0 ? history : null, 'vm-unknown', vmId); // Also of one that was forgotten.
  }

  @Post(':vm/release')
  @ApiOperation({ summary: 'Lift a hold, after somebody has looked' })
  @Answers(200, 'Vm')
  async release(
    @VmId() vmId: string,
    @Body() { note }: ReleaseHoldBody,
    @Query() _query: NoQuery,
    @AskedBy() asked: Asked,
  ): Promise<Answer> {
    return vmAfter(this.#house, vmId, await released(this.#house, vmId, note, asked));
  }
}

import type { Json } from '#event-store';
import type { Claim, Command, DataOf, Step } from '#ledger';
import { type Ledgers, REGISTRY_STREAM, streamOf } from '../../apps/ledgerd/ledger.ts';

/** Speaks to the ledger as its doors and its worker do. */
export class Teller {
  readonly #ledgers: Ledgers;
  readonly #now: () => string;
  #asked = 0;

  constructor(ledgers: Ledgers, now: () => string) {
    this.#ledgers = ledgers;
    this.#now = now;
  }

  /** Takes what must be unique, and then, for a new VM, begins its stream. */
  async register(registration: DataOf<'VmRegistered'>, below: readonly string[] = []): Promise<void> {
    const { vmId, name, monitor, disks } = registration;
    await this.claim(vmId, { name, monitor, files: disks.map(({ file }) => file), below, registration });
    await this.ask(vmId, { type: 'RegisterVm', registration });
  }

  async claim(vmId: string, claim: Claim): Promise<void> {
    await this.#registry({ type: 'ClaimVm', vmId, claim });
  }

  async release(vmId: string): Promise<void> {
    await this.#registry({ type: 'ReleaseClaim', vmId });
  }

  /** What people and programs ask. */
  async ask(vmId: string, command: Command): Promise<void> {
    const key = `key-${this.#asked + 1}`;
    await this.#ledgers.vms.handle(streamOf(vmId), command, { ...this.#about(command), key });
  }

  /** What the worker reports. */
  async report(vmId: string, command: Command): Promise<void> {
    const { state } = await this.#ledgers.vms.state(streamOf(vmId));
    const causationId = state.operation?.requestId ?? '';
    const about = { ...this.#about(command), actor: 'worker:host-2', causationId };
    await this.#ledgers.vms.handle(streamOf(vmId), command, about);
  }

  /** What the worker leaves behind. */
  done(name: string, device?: string) {
    const at = this.#now();
    const where = device === undefined ? {} : { device };
    const step: Step = { name, ...where, state: 'done', startedAt: at, endedAt: at };
    return { steps: [step], transcriptDigest: '5'.repeat(64) };
  }

  async #registry(command: Parameters<Ledgers['registry']['handle']>[1]): Promise<void> {
    await this.#ledgers.registry.handle(REGISTRY_STREAM, command, this.#about(command));
  }

  #about(request: object) {
    this.#asked += 1;
    const correlationId = `0199b1b4-${String(this.#asked).padStart(4, '0')}-7000-8000-0000000000cc`;
    return { actor: 'http:alice', correlationId, request: request as Json };
  }
}

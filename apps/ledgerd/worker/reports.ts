import type { Asked } from '#event-store';
import { Fenced } from '#hypervisor';
import { type Command, type Leftover, type OpenOperation, Refusal, type Report } from '#ledger';
import { type Ledgers, streamOf } from '../ledger.ts';

/** What a worker writes to the log of one VM. */
export class Reports {
  readonly #vmId: string;
  readonly #ledgers: Ledgers;
  readonly #host: string;

  constructor({ vmId, ledgers, host }: { vmId: string; ledgers: Ledgers; host: string }) {
    this.#vmId = vmId;
    this.#ledgers = ledgers;
    this.#host = host;
  }

  write(operation: OpenOperation, report: Report): Promise<void> {
    return this.#write(report, this.asked(operation.id, operation.requestId));
  }

  /** @throws {Fenced} when the operation is somebody else's by now, or over */
  async writeOrBeFenced(operation: OpenOperation, report: Report): Promise<void> {
    try {
      await this.write(operation, report);
    } catch (error) {
      if (error instanceof Refusal) throw new Fenced(error.message);
      throw error;
    }
  }

  /** Of what a held operation had left behind. */
  writeGone(operationId: string, { device, file, tag }: Omit<Leftover, 'why'>): Promise<void> {
    const leftover = { snapshotId: null, device, file, tag };
    return this.#write({ type: 'ReportLeftoverRemoved', leftover }, this.asked(operationId));
  }

  /** Who asks for what a worker does by itself. */
  asked(correlationId: string, causationId = ''): Asked {
    return { actor: `worker:${this.#host}`, correlationId, causationId, request: { by: 'worker' } };
  }

  async #write(report: Command, asked: Asked): Promise<void> {
    await this.#ledgers.vms.handle(streamOf(this.#vmId), report, asked);
  }
}

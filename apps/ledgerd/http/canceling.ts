import type { Asked, Handled } from '#event-store';
import { Refusal, type VmEvent } from '#ledger';
import { frozen, streamOf } from '../ledger.ts';
import { ask } from './commands.ts';
import type { House } from './house.ts';
import { hypervisorOf } from './registering.ts';

/**
 * Calls an operation off. What has not started ends at once, in the log. What has started ends when QEMU has let go of
 * the copies that it makes: whoever carries it out sees that and records it. Null: nothing is recorded yet.
 *
 * @throws {Refusal} `not-cancelable` for what has ended, and for what has begun and makes no copies
 */
export async function cancelOperation(
  house: House,
  vmId: string,
  asked: Asked,
): Promise<Handled<VmEvent> | null> {
  const { correlationId: operationId } = asked;
  try {
    return await ask(house, vmId, { type: 'CancelOperation', operationId }, asked);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'not-cancelable') throw error;
    const { state } = await house.ledgers.vms.state(streamOf(vmId));
    if (state.operation?.id !== operationId || !state.operation.started) throw error;
    await hypervisorOf(house, state.host).cancel(frozen(state), state.operation);
    return null;
  }
}

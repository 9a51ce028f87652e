import type { Asked, Handled } from '#event-store';
import { Refusal, type VmEvent, wrongChainIn } from '#ledger';
import { streamOf } from '../ledger.ts';
import { TooManyLooks } from '../looks.ts';
import { unconditional, withoutKey } from './asked.ts';
import { ask } from './commands.ts';
import type { House } from './house.ts';

/**
 * Takes somebody's word that a VM may go on. Of a wrong chain a look is worth more than a word, where there can be one:
 * it comes first and is recorded, and a machine that still stands there is not released.
 *
 * @throws {Refusal} `vm-held` when it stands there still, and what the ledger says
 */
export async function released(
  house: House,
  vmId: string,
  note: string,
  asked: Asked,
): Promise<Handled<VmEvent>> {
  const { vms } = house.ledgers;
  const again = await vms.answered(streamOf(vmId), asked);
  if (again) return again;
  const { state } = await vms.state(streamOf(vmId));
  const isSeen = wrongChainIn(state) !== undefined && (await look(house, vmId, asked));
  const command = { type: 'ReleaseHold' as const, note, ...(isSeen && { isSeen: true as const }) };
  return ask(house, vmId, command, isSeen ? unconditional(asked) : asked);
}

/** Whether the machine can be looked at. */
async function look({ worker }: House, vmId: string, asked: Asked): Promise<boolean> {
  try {
    await worker.reconcile(vmId, withoutKey(asked));
    return true;
  } catch (error) {
    if (!(error instanceof Refusal) || error instanceof TooManyLooks || error.code === 'vm-busy') throw error;
    return false;
  }
}

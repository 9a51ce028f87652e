import type { Asked, Handled } from '#event-store';
import type { Command, VmEvent } from '#ledger';
import { streamOf } from '../ledger.ts';
import type { House } from './house.ts';
import { refusalOf } from './problem.ts';
import { requireFollowing } from './ready.ts';

/**
 * Asks one VM for something, durably.
 *
 * @throws {Refusal} what the ledger says, `log-newer` or `view-behind` when nothing is accepted
 */
export const ask = (house: House, vmId: string, command: Command, asked: Asked): Promise<Handled<VmEvent>> =>
  counted(house, command.type, () => house.ledgers.vms.handle(streamOf(vmId), command, asked));

/** Counts how a command was answered. Nothing is accepted that could not be shown afterwards. */
export async function counted<T extends { readonly events: readonly unknown[]; readonly replayed: boolean }>(
  house: House,
  type: string,
  handle: () => Promise<T>,
): Promise<T> {
  try {
    requireFollowing(house);
    const handled = await handle();
    house.metrics.commandAnswered(type, outcomeOf(handled));
    return handled;
  } catch (error) {
    house.metrics.commandAnswered(type, refusalOf(error).code);
    throw error;
  }
}

const outcomeOf = ({ events, replayed }: { events: readonly unknown[]; replayed: boolean }): string => {
  if (replayed) return 'replayed';
  return events.length === 0 ? 'unchanged' : 'recorded';
};

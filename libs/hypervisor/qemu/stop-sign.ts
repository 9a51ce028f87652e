import type { Errand } from '../errand.ts';
import { addPlaceholder, nodeNameOf, openNodes, removeNode } from './graph.ts';
import { NotNow } from '../not-now.ts';
import { troubleIn } from '../trouble.ts';

/*
 * A delete may go on for hours, and meanwhile the machine may be stopped and started by its owner, and die. Whether it
 * stands still because of us is known where that ends with it: in QEMU, by an image of nothing that no device uses.
 */

const signOf = (operationId: string): string => nodeNameOf(operationId, 0).replace('-', '-s');

/**
 * Before the machine that runs is told to stand still. Safe to repeat. One that takes no sign is stopped all the same.
 *
 * @throws {NotNow} when nobody knows whether the sign is there
 */
export async function signStop({ place, memory, operationId }: Errand): Promise<void> {
  memory.signed.add(operationId);
  const trouble = await troubleIn(() => addPlaceholder(place, signOf(operationId), { virtualSizeBytes: 0 }));
  if (trouble?.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  memory.stopped.set(operationId, true); // It may be from here on, though nobody hears of it.
}

/** Whether this QEMU was told to stand still for the operation, and perhaps not to run since. Throws as `openNodes`. */
export async function readStopSign({ place, memory, operationId }: Errand): Promise<boolean> {
  const isSigned = (await openNodes(place)).some(({ nodeName }) => nodeName === signOf(operationId));
  if (isSigned) memory.signed.add(operationId);
  else memory.signed.delete(operationId);
  return isSigned;
}

/** The machine runs, or stands still for a reason that is not ours. What stays open is of no consequence. */
export async function removeStopSign({ place, memory, operationId }: Errand): Promise<void> {
  if (!memory.signed.has(operationId)) return;
  await troubleIn(() => removeNode(place, signOf(operationId)));
  memory.signed.delete(operationId);
}

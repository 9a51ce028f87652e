import type { Vm } from '#ledger';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';

/** Layers that are kept as they are because another VM reads them, and which one. */
export type Spared = NonNullable<Start['spared']>;

/**
 * Which of the layers another VM has or stands on: whoever writes into one, or unlinks it, takes from that VM what it
 * reads, be it on or off.
 */
export async function sparedAmong({ place, vm }: Errand, { layers }: Pick<Vm, 'layers'>): Promise<Spared> {
  const others = await place.claimedBesides(vm.id);
  return [...layers.keys()].flatMap((file) => others.find((other) => other.file === file) ?? []);
}

import type { PlannedLayer } from '#ledger';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import type { Trouble } from '../trouble.ts';
import { contentOf } from './evidence.ts';

/*
 * Until a create is reported the ledger names what lies below its overlays, and whoever starts the machine by that
 * writes into what the snapshot should hold. Only the files' times tell: nothing below was written after the capture,
 * and nothing in an overlay before it.
 */

/** When files were written last, in ms since 1970. */
export type Times = ReadonlyMap<string, number>;

/** Of the overlays and of what they stand on. To be asked before an image is repaired: that is a write as well. */
export async function timesOf({ place }: Errand, { overlays = [] }: Start): Promise<Times> {
  const times = new Map<string, number>();
  for (const file of overlays.flatMap((overlay) => [overlay.file, overlay.backing ?? ''])) {
    const found = file === '' ? null : await place.world.files.stat(file);
    if (found?.kind === 'file') times.set(file, found.modifiedAt);
  }
  return times;
}

/** Why what lies below the overlays is not what was captured; null when nothing says so. */
export async function whyRewritten(
  errand: Errand,
  { overlays = [], vmState }: Start,
  times: Times,
): Promise<Trouble | null> {
  if (vmState === 'shutoff') return null; // What is in an overlay was so before.
  const written: PlannedLayer[] = [];
  for (const overlay of overlays.filter(({ by }) => by === 'create'))
    if ((await contentOf(errand, overlay)) === 'data') written.push(overlay);
  const captured = Math.min(...written.flatMap(({ file }) => times.get(file) ?? []));
  const below = overlays.find(({ backing }) => (times.get(backing ?? '') ?? 0) > captured);
  if (!below) return null;
  const words = `${below.backing ?? ''} was written after the machine had gone on in overlays of it: somebody has started the machine without them`;
  return { kind: 'refused', category: 'unknown', reason: 'snapshot-damaged', words };
}

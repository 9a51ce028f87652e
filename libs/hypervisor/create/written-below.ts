import type { PlannedLayer } from '#ledger';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import type { Trouble } from '../trouble.ts';
import { contentOf } from './evidence.ts';

/*
 * Until a create is reported the ledger names what lies below its overlays, and whoever starts the machine by that
 * writes into what the snapshot should hold. Only the files' times tell: nothing below was written after the capture,
 * and nothing in an overlay before it. What was captured of a machine that was off nobody has written since it began.
 */

/** When files were written last, in ms since 1970. */
export type Times = ReadonlyMap<string, number>;

/** Of the overlays. To be asked before one is repaired: that is a write as well. */
export const timesOf = (errand: Errand, { overlays = [] }: Start): Promise<Times> =>
  timesOfFiles(
    errand,
    overlays.map(({ file }) => file),
  );

/** Of what they stand on. */
export const timesBelow = (errand: Errand, { overlays = [] }: Start): Promise<Times> =>
  timesOfFiles(
    errand,
    overlays.flatMap(({ backing }) => backing ?? []),
  );

async function timesOfFiles({ place }: Errand, files: readonly string[]): Promise<Times> {
  const times = new Map<string, number>();
  for (const file of files) {
    const found = await place.world.files.stat(file);
    if (found?.kind === 'file') times.set(file, found.modifiedAt);
  }
  return times;
}

/**
 * Why what lies below the overlays is not what was captured; null when nothing says so. Looked at last of all: what is in
 * the overlays may take minutes to learn, in which the machine may have been started and have ended. So may the
 * transcript take to be written, which is done before.
 */
export async function whyRewritten(errand: Errand, start: Start, times: Times): Promise<Trouble | null> {
  const { overlays = [], vmState } = start;
  const isOff = vmState === 'shutoff';
  const wentOnAt = isOff ? 0 : await firstEnd(errand, overlays, times);
  await errand.transcript.flush();
  const writtenAt = await timesBelow(errand, start);
  const below = overlays.find(({ file, backing, backingModifiedAt: beganAt }) => {
    const at = writtenAt.get(backing ?? '');
    if (at === undefined) return false;
    if (!isOff) return isLater(at, { beganAt, wentOnAt }); // Also of one that was empty, and is removed already.
    return times.has(file) && beganAt !== undefined && at !== beganAt;
  });
  if (!below) return null;
  const since = isOff ? 'the capture had begun' : 'the machine had gone on in overlays of it';
  return startedBelow(below, since);
}

/** Of a machine that has written into what lies below a layer. `since` tells what had been done by then. */
export const startedBelow = ({ backing }: PlannedLayer, since: string): Trouble =>
  rewritten(`${backing ?? ''} was written after ${since}: somebody has started the machine without them`);

export const rewritten = (words: string): Trouble => ({
  kind: 'refused',
  category: 'unknown',
  reason: 'snapshot-damaged',
  words,
});

/** When the first overlay of those that the machine has written into was written last. */
async function firstEnd(errand: Errand, overlays: readonly PlannedLayer[], times: Times): Promise<number> {
  const written: PlannedLayer[] = [];
  for (const overlay of overlays.filter(({ by }) => by === 'create'))
    if ((await contentOf(errand, overlay)) === 'data') written.push(overlay);
  return Math.min(...written.flatMap(({ file }) => times.get(file) ?? []));
}

/**
 * Whether a layer was written after the machine had gone on above it. Of a clock that was put back meanwhile the time
 * tells at which it had been written before: by then only what was written since is earlier.
 */
function isLater(
  at: number,
  { beganAt, wentOnAt }: { readonly beganAt: number | undefined; readonly wentOnAt: number },
): boolean {
  if (beganAt === undefined) return at > wentOnAt;
  return at < beganAt || (at > wentOnAt && wentOnAt >= beganAt);
}

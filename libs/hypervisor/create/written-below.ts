import { posix } from 'node:path';
import { type Leftover, type PlannedLayer, tagOf } from '#ledger';
import { FileTrouble } from '#world';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { reach } from '../look/look.ts';
import { diskOf, type Sight } from '../look/sight.ts';
import { NotNow } from '../not-now.ts';
import { type Trouble, troubleIn } from '../trouble.ts';
import { unlinkForGood } from '../unlink-for-good.ts';
import { contentOf } from './evidence.ts';
import { type LastPush, readLastPush, socketAt, wipeLastPush, writeLastPush } from './last-push.ts';

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
  const writtenAt = await timesOfFiles(errand, basesOf(start));
  const below = overlays.find(({ file, backing, backingModifiedAt: beganAt }) => {
    const at = writtenAt.get(backing ?? '');
    if (at === undefined || !times.has(file)) return false; // What went down by an undo was written by that.
    return isOff ? beganAt !== undefined && at !== beganAt : isLater(at, { beganAt, wentOnAt });
  });
  if (!below) return null;
  const since = isOff ? 'the capture had begun' : 'the machine had gone on in overlays of it';
  return startedBelow(below, since);
}

const startedBelow = ({ backing }: PlannedLayer, since: string): Trouble =>
  rewritten(`${backing ?? ''} was written after ${since}: somebody has started the machine without them`);

const startedAnew = ({ backing }: PlannedLayer, since: string): Trouble =>
  rewritten(
    `the machine was started after ${since}, without them, and may have written into ${backing ?? ''}`,
  );

const rewritten = (words: string): Trouble => ({
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

/**
 * The file that lies beside the overlays while we write below them: once ledgerd and QEMU are both gone nothing else
 * tells who did. Null when there are no overlays that anybody takes back.
 */
function markOf({ snapshotId, overlays = [] }: Start): string | null {
  const first = overlays.find(({ by }) => by === 'create');
  return first ? posix.join(posix.dirname(first.file), `${tagOf(snapshotId ?? '')}-going-down`) : null;
}

/**
 * Tells whoever comes after us, before the first byte goes down. A directory that takes no file keeps nobody from it.
 * `socket` is what lay at the monitor's path before the machine was looked at.
 *
 * @throws {NotNow} while the sign cannot be kept from saying what an earlier push had left, or when the machine was started
 *   since it was looked at
 */
export async function markGoingDown(errand: Errand, start: Start, socket: string | null): Promise<void> {
  const { place, memory, operationId } = errand;
  if ((await monitorSocket(errand)) !== socket)
    throw new NotNow('machine-busy', 'the machine was started since it was looked at');
  const mark = markOf(start);
  const trouble = mark === null ? null : await troubleIn(() => wipeLastPush(place.world, mark));
  if (trouble) throw new NotNow('host-unreachable', trouble.words);
  const push: LastPush = { socket, times: new Map() };
  memory.pushed.set(operationId, push);
  if (mark === null) return;
  const { files } = place.world;
  await troubleIn(async () => {
    await files.makeNew(mark);
    await files.syncDirectory(posix.dirname(mark));
    await writeLastPush(place.world, mark, push);
  });
}

/** What lies at the monitor's path. To be asked before the machine is looked at. */
export const monitorSocket = ({ place }: Errand): Promise<string | null> =>
  socketAt(place.world, place.monitor);

/**
 * Nobody pushes any more if QEMU is gone, for a program of ours has ended: what is written below later is not ours. The
 * sign says so to whoever comes after us, if it can be written.
 */
export async function notePushEnded(errand: Errand, start: Start): Promise<void> {
  const { place, memory, operationId } = errand;
  const socket = memory.pushed.get(operationId)?.socket ?? null;
  try {
    const times = await timesOfFiles(errand, basesOf(start)); // Before: by then somebody may have been started.
    if ((await reach(place)) !== null || isAnother(socket, await monitorSocket(errand))) return;
    const push: LastPush = { socket, times };
    memory.pushed.set(operationId, push);
    const mark = markOf(start);
    if (mark !== null) await writeLastPush(place.world, mark, push);
  } catch (error) {
    if (!(error instanceof NotNow || error instanceof FileTrouble)) throw error; // Then nobody knows, or nobody else.
  }
}

/** Whether somebody has started the machine in between. A socket that is gone tells nothing: QEMU has ended in good order. */
const isAnother = (before: string | null, now: string | null): boolean =>
  before !== null && now !== null && before !== now;

const basesOf = ({ overlays = [] }: Pick<Start, 'overlays'>): string[] =>
  overlays.flatMap(({ backing }) => backing ?? []);

/** Whether what was written below the overlays may have been written by us, whoever of us it was. */
export async function goesDown({ place, memory, operationId }: Errand, start: Start): Promise<boolean> {
  if (memory.pushed.has(operationId)) return true;
  const mark = markOf(start);
  if (mark === null || (await place.world.files.stat(mark)) === null) return false;
  memory.pushed.set(operationId, await readLastPush(place.world, mark));
  return true;
}

/**
 * A machine that is on what lies below an overlay was started there, and so was one that is off again and has written
 * there since we did, or may have: nothing may go down over that. Of the latter this is why; later the files' times tell.
 * `socket` is what lay at the monitor's path before the machine was looked at.
 *
 * @throws {NotNow} while whoever comes after us would take what it writes for what we did
 */
export async function heedStarted(
  errand: Errand,
  start: Start,
  { sight, socket }: { readonly sight: Sight; readonly socket: string | null },
): Promise<Trouble | null> {
  const { place, memory, operationId } = errand;
  const mark = markOf(start);
  if (mark === null || !(await goesDown(errand, start))) return null;
  const push = memory.pushed.get(operationId) ?? null;
  for (const overlay of start.overlays ?? []) {
    if (overlay.by !== 'create') continue;
    const since = 'what is in its overlays had begun to go down';
    const why = sight.power === 'off' ? await whyStarted(errand, overlay, { push, socket, since }) : null;
    if (!why && !isOn(sight, overlay)) continue;
    if ((await place.world.files.stat(overlay.file)) === null) continue; // All of it went down.
    const trouble = await troubleIn(() => unlinkForGood(place.world, mark));
    if (trouble) throw new NotNow('host-unreachable', trouble.words);
    memory.pushed.delete(operationId);
    return why;
  }
  return null;
}

const isOn = (sight: Sight, { device, backing }: PlannedLayer): boolean =>
  sight.power !== 'off' && diskOf(sight, device)?.file === backing;

/** Of a machine that is off again. Where nobody knows when we wrote last, it may have written if it was started. */
async function whyStarted(
  { place }: Errand,
  overlay: PlannedLayer,
  { push, socket, since }: { push: LastPush | null; socket: string | null; since: string },
): Promise<Trouble | null> {
  const below = overlay.backing ?? '';
  const at = push?.times.get(below);
  if (at === undefined) return isAnother(push?.socket ?? null, socket) ? startedAnew(overlay, since) : null;
  const found = await place.world.files.stat(below);
  return found !== null && found.modifiedAt !== at ? startedBelow(overlay, since) : null;
}

/**
 * Nothing goes down any more; tells what is left. Below an overlay that could not be taken back a part may have gone
 * down: whoever comes before that is on record has to know it from the sign, so that is left.
 */
export async function unmarkGoingDown(
  { place }: Errand,
  start: Start,
  kept: readonly PlannedLayer[],
): Promise<Leftover[]> {
  const mark = markOf(start);
  if (mark === null || (await place.world.files.stat(mark)) === null) return [];
  const left = (why: string): Leftover[] => [{ device: '', file: mark, tag: '', why }];
  if (kept.some(({ by }) => by === 'create'))
    return left('it told of an overlay that could not be taken back; nobody needs it any more');
  const trouble = await troubleIn(() => unlinkForGood(place.world, mark));
  return trouble ? left(trouble.words) : [];
}

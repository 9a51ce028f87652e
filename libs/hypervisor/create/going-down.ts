import { posix } from 'node:path';
import { type Leftover, type PlannedLayer, tagOf } from '#ledger';
import { FileTrouble } from '#world';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { reach } from '../look/look.ts';
import { isAnotherSocket, monitorSocket, NO_SOCKET } from '../look/monitor-socket.ts';
import { diskOf, type Sight } from '../look/sight.ts';
import { NotNow } from '../not-now.ts';
import { seenLocked } from '../qemu/seen-locks.ts';
import { type Trouble, troubleIn } from '../trouble.ts';
import { unlinkForGood } from '../unlink-for-good.ts';
import { isStartedSince, type LastPush, readLastPush, wipeLastPush, writeLastPush } from './last-push.ts';
import { rewritten, startedBelow, type Times, timesBelow } from './written-below.ts';

/*
 * While the overlays of a create that is taken back go down, a sign beside them tells whoever comes after us that it is we
 * who write below them, and whether somebody has started the machine there since: then nothing goes down any more.
 */

/**
 * The file that lies beside the overlays while we write below them: once ledgerd and QEMU are both gone nothing else
 * tells who did. Null when there are no overlays that anybody takes back.
 */
function markOf({ snapshotId, overlays = [] }: Start): string | null {
  const first = overlays.find(({ by }) => by === 'create');
  return first ? posix.join(posix.dirname(first.file), `${tagOf(snapshotId ?? '')}-going-down`) : null;
}

/** Whoever comes after us takes a half of ours for somebody else's where there is no sign. */
const SIGN_ATTEMPTS_MAX = 3;

/**
 * Tells whoever comes after us, before the first byte goes down. A directory that takes no file keeps nobody from it.
 * `socket` is what lay at the monitor's path before the machine was looked at.
 *
 * @throws {NotNow} while the sign cannot be kept from saying what an earlier push had left, or when the machine was started
 *   since it was looked at
 */
export async function markGoingDown(errand: Errand, start: Start, socket: string): Promise<void> {
  const { place, memory, operationId } = errand;
  if ((await monitorSocket(place)) !== socket)
    throw new NotNow('machine-busy', 'the machine was started since it was looked at');
  const mark = markOf(start);
  const trouble = mark === null ? null : await troubleIn(() => wipeLastPush(place.world, mark));
  if (trouble) throw new NotNow('host-unreachable', trouble.words);
  const push: LastPush = { socket, times: new Map(), isOver: false };
  memory.pushed.set(operationId, push);
  if (mark === null) return;
  for (let attempt = 1; attempt <= SIGN_ATTEMPTS_MAX; attempt += 1)
    if (!(await troubleIn(() => makeSign(errand, mark, push)))) return;
}

async function makeSign({ place }: Errand, mark: string, push: LastPush): Promise<void> {
  const { files } = place.world;
  await files.makeNew(mark);
  await files.syncDirectory(posix.dirname(mark));
  await writeLastPush(place.world, mark, push);
}

/**
 * Nobody pushes any more if QEMU is gone and no program of ours has the images open: what is written below later is not
 * ours. Nor is anything once the machine was started anew. The sign says so to whoever comes after us, if it can be written.
 */
export async function notePushEnded(errand: Errand, start: Start): Promise<void> {
  const { place, memory, operationId } = errand;
  const push = await lastPush(errand, start);
  if (!push || push.isOver || push.times.size > 0) return;
  try {
    const found = await howItEnded(errand, start, push);
    if (!found) return;
    const mark = markOf(start);
    if (mark !== null && found.isOver) return await tellStarted(errand, mark, found.socket);
    memory.pushed.set(operationId, found);
    if (mark !== null) await writeLastPush(place.world, mark, found);
  } catch (error) {
    if (!(error instanceof NotNow || error instanceof FileTrouble)) throw error; // Then nobody knows, or nobody else.
  }
}

/** Null when it may not have ended. */
async function howItEnded(errand: Errand, start: Start, push: LastPush): Promise<LastPush | null> {
  const { place } = errand;
  const times = await timesBelow(errand, start); // Before: by then somebody may have been started.
  if (isStartedSince(push, await monitorSocket(place))) return { ...push, isOver: true };
  if ((await reach(place)) !== null || (await seenLocked(place.world.files, [...times.keys()])).size > 0)
    return null;
  return isStartedSince(push, await monitorSocket(place)) ? { ...push, isOver: true } : { ...push, times };
}

/** Whether what was written below the overlays may have been written by us, whoever of us it was. */
export const goesDown = async (errand: Errand, start: Start): Promise<boolean> =>
  (await lastPush(errand, start)) !== null;

async function lastPush({ place, memory, operationId }: Errand, start: Start): Promise<LastPush | null> {
  const known = memory.pushed.get(operationId);
  if (known) return known;
  const mark = markOf(start);
  const sign = mark === null ? null : await place.world.files.stat(mark);
  if (mark === null || sign === null) return null;
  const push = await readLastPush(place.world, mark, sign.modifiedAt);
  memory.pushed.set(operationId, push);
  return push;
}

/**
 * A machine that is on what lies below an overlay was started there, and so was one that is off again and has written
 * there since we did, or may have: nothing may go down over that, and the sign says so from now on. Of the latter this is
 * why.
 *
 * @throws {NotNow} while whoever comes after us would take what it writes for what we did
 */
export async function heedStarted(
  errand: Errand,
  start: Start,
  looked: Omit<Looked, 'below'>,
): Promise<Trouble | null> {
  const mark = markOf(start);
  const push = await lastPush(errand, start);
  if (mark === null || push === null) return null;
  const isOff = looked.sight.power === 'off';
  const there = await stillThere(errand, start);
  if (there.length === 0) return null; // All of it went down.
  // A machine that is on goes on below what went down.
  for (const overlay of isOff ? oursOf(start) : there) {
    const why = await whyStarted(errand, overlay, { ...looked, push });
    if (!why) continue;
    if (!push.isOver) await tellStarted(errand, mark, looked.socket);
    return isOff ? why : null;
  }
  return null;
}

async function stillThere({ place }: Errand, start: Start): Promise<PlannedLayer[]> {
  const there: PlannedLayer[] = [];
  for (const overlay of oursOf(start))
    if ((await place.world.files.stat(overlay.file)) !== null) there.push(overlay);
  return there;
}

/** How a machine was found. */
export interface Looked {
  readonly sight: Sight;
  /** What lay at the monitor's path before. */
  readonly socket: string;
  /** When what lies below its overlays was written last, after all that was repaired. */
  readonly below: Times;
}

const oursOf = ({ overlays = [] }: Pick<Start, 'overlays'>): PlannedLayer[] =>
  overlays.filter(({ by }) => by === 'create');

/** Of a machine that is off again: where nobody knows when we wrote last, it may have written if it was started. */
async function whyStarted(
  { place }: Errand,
  overlay: PlannedLayer,
  { sight, socket, push }: Omit<Looked, 'below'> & { readonly push: LastPush },
): Promise<Trouble | null> {
  const since = 'what is in its overlays had begun to go down';
  const { device, backing } = overlay;
  const below = backing ?? '';
  if (sight.power !== 'off') {
    if (diskOf(sight, device)?.file !== below) return null;
    const now = await monitorSocket(place); // Of the QEMU that we pushed with, which has left the overlay by itself?
    return push.socket === now && now !== NO_SOCKET ? null : startedAnew(overlay, since);
  }
  if (push.isOver) return startedAnew(overlay, since);
  const at = push.times.get(below);
  if (at === undefined) return isStartedSince(push, socket) ? startedAnew(overlay, since) : null;
  const found = await place.world.files.stat(below);
  return found !== null && found.modifiedAt !== at ? startedBelow(overlay, since) : null;
}

const startedAnew = ({ backing }: PlannedLayer, since: string): Trouble =>
  rewritten(
    `the machine was started after ${since}, without them, and may have written into ${backing ?? ''}`,
  );

/**
 * That a machine which was off has not run on what lies below its overlays since: whoever lets something go down there
 * asks right before. The sign says it from then on.
 *
 * @throws {NotNow} when it has, or may have
 */
export async function requireNotRun(
  errand: Errand,
  start: Start,
  { socket, below, base }: Pick<Looked, 'socket' | 'below'> & { readonly base: string },
): Promise<void> {
  const { place } = errand;
  const now = await monitorSocket(place);
  const isWritten = (await place.world.files.stat(base))?.modifiedAt !== below.get(base);
  if (!isWritten && !isAnotherSocket(socket, now)) return;
  const mark = markOf(start);
  if (mark !== null) await tellStarted(errand, mark, now);
  throw new NotNow('machine-busy', 'the machine was started since it was looked at');
}

/**
 * To whoever comes after us. A sign that cannot be written is taken away: then the files' times tell.
 *
 * @throws {NotNow} when neither can be done
 */
async function tellStarted(
  { place, memory, operationId }: Errand,
  mark: string,
  socket: LastPush['socket'],
): Promise<void> {
  const push: LastPush = { socket, times: new Map(), isOver: true };
  const isUntold = await troubleIn(() => writeLastPush(place.world, mark, push));
  const trouble = isUntold && (await troubleIn(() => unlinkForGood(place.world, mark)));
  if (trouble) throw new NotNow('host-unreachable', trouble.words);
  if (isUntold) memory.pushed.delete(operationId);
  else memory.pushed.set(operationId, push);
}

/**
 * Nothing goes down any more; tells what is left. Below an overlay that could not be taken back a part may have gone
 * down, or a machine may have written: whoever comes before that is on record has to know it from the sign, so that is left.
 */
export async function unmarkGoingDown(
  errand: Errand,
  start: Start,
  kept: readonly PlannedLayer[],
): Promise<Leftover[]> {
  const { place, memory, operationId } = errand;
  const { files } = place.world;
  const mark = markOf(start);
  if (mark === null || (await files.stat(mark)) === null) return [];
  const left = (why: string): Leftover[] => [{ device: '', file: mark, tag: '', why }];
  const isOver = memory.pushed.get(operationId)?.isOver === true;
  const isNeeded = isOver
    ? (await stillThere(errand, start)).length > 0
    : kept.some(({ by }) => by === 'create');
  if (isNeeded) return left('it told of an overlay that could not be taken back; nobody needs it any more');
  const trouble = await troubleIn(() => unlinkForGood(place.world, mark));
  return trouble ? left(trouble.words) : [];
}

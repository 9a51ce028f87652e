import { comparePositions, PAGE_EVENTS_MAX, type StoredEvent } from '#event-store';
import { Refusal } from '#ledger';
import type { House } from './house.ts';

/** While nothing happens, a watcher hears this often that we are still there. */
const HEARTBEAT_MS = 15_000;
/** A watcher that lost us comes back after this. */
const RETRY_MS = 1_000;

/**
 * An event as everybody sees it: the envelope with what stands outside the seal. The record is passed on byte for
 * byte, so that what is shown is what was sealed.
 */
const jsonOf = ({ record, position, previousHash, hash }: StoredEvent): string =>
  `${record.slice(0, -1)},"position":"${position}","previousHash":"${previousHash}","hash":"${hash}"}`;

const lineOf = (event: StoredEvent): string => `${jsonOf(event)}\n`;

/** One stream from a version on, page by page: a long one is never in memory as a whole. */
export async function* streamLines(
  { store }: House,
  stream: string,
  fromVersion: number,
): AsyncGenerator<string, void, undefined> {
  let next = fromVersion;
  for (;;) {
    const { events, head } = await store.read(stream, next, PAGE_EVENTS_MAX);
    if (events.length > 0) yield events.map(lineOf).join('');
    next += events.length;
    if (events.length === 0 || next > head.version) return;
  }
}

/** The whole log after a position, up to where it ends now. */
export async function* logLines(
  { store }: House,
  after: string | null,
  { head, signal }: { readonly head: string | null; readonly signal: AbortSignal },
): AsyncGenerator<string, void, undefined> {
  if (head === null || comparePositions(after ?? '0', head) >= 0) return; // There the store would wait for more.
  for await (const batch of store.since(after, signal)) {
    const known = batch.filter(({ position }) => comparePositions(position, head) <= 0);
    if (known.length > 0) yield known.map(lineOf).join('');
    const last = batch.at(-1)?.position;
    if (last === undefined || comparePositions(last, head) >= 0) return;
  }
}

/** The log after a position and all that is yet to come, as server-sent events whose id is the position. */
export async function* watched(
  { store, world }: House,
  after: string | null,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  yield `retry: ${RETRY_MS}\n: watching\n\n`;
  const batches = store.since(after, signal)[Symbol.asyncIterator]();
  let arriving = batches.next();
  while (!signal.aborted) {
    const nap = new AbortController();
    const arrived = await Promise.race([
      arriving,
      world.clock.sleep(HEARTBEAT_MS, nap.signal).then(() => 'silence' as const),
    ]);
    nap.abort();
    if (arrived === 'silence') {
      yield ': still here\n\n';
      continue;
    }
    if (arrived.done === true) return;
    yield arrived.value.map((event) => `id: ${event.position}\ndata: ${jsonOf(event)}\n\n`).join('');
    arriving = batches.next();
  }
}

/**
 * Where somebody wants to go on in the log.
 *
 * @throws {Refusal} `invalid-query` for a position that this log has not reached: it belongs to another one
 */
export function requirePast(after: string, head: string | null): void {
  if (comparePositions(after, head ?? '0') > 0)
    throw new Refusal('invalid-query', `position ${after} lies beyond the end of this log`);
}

import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { ChainEnd, StoredEvent } from '../envelope.ts';
import { ChainBroken, CHAIN_START, verifyChain } from '../seal.ts';
import { openForReading } from './inspect.ts';
import { Reading } from './statements.ts';
import { told, trouble } from './trouble.ts';

/** What was found whole. */
export interface Verified {
  readonly events: number;
  readonly streams: number;
}

/**
 * Checks every page and every chain of a log; others may append meanwhile. Throws a `StoreTrouble` of kind
 * `damaged` that names the first event that is not as it was sealed.
 */
export async function verifyFile(file: string): Promise<Verified> {
  const db = openForReading(file);
  try {
    return await verifyChains(db, file);
  } finally {
    db.close();
  }
}

/** The events of a log in its order, each once its chain was verified up to it. Throws as `verifyFile` does. */
export async function* verifiedEvents(file: string): AsyncGenerator<readonly StoredEvent[]> {
  const db = openForReading(file);
  try {
    yield* verifiedPages(db, file, new Map());
  } finally {
    db.close();
  }
}

/** How far the streams of a log have come; whoever appends to it meanwhile is seen. */
export interface Heads {
  /** The last version of a stream; 0 when there is none. */
  versionOf(stream: string): number;
  close(): void;
}

/** Throws as `verifyFile` does. */
export function openHeads(file: string): Heads {
  const db = openForReading(file);
  const reading = new Reading(db);
  return {
    versionOf: (stream) => told(file, () => reading.lastOf(stream)?.version ?? 0),
    close: () => db.close(),
  };
}

/** The chains alone. */
export async function verifyChains(db: DatabaseSync, file: string): Promise<Verified> {
  const ends = new Map<string, ChainEnd>();
  let events = 0;
  for await (const page of verifiedPages(db, file, ends)) events += page.length;
  return { events, streams: ends.size };
}

/** Page by page, letting other work go on in between. `ends` moves on to where every chain has come to. */
async function* verifiedPages(
  db: DatabaseSync,
  file: string,
  ends: Map<string, ChainEnd>,
): AsyncGenerator<readonly StoredEvent[]> {
  const reading = new Reading(db);
  for (let after: string | null = null; ;) {
    const page: StoredEvent[] = told(file, () => reading.page(after));
    const last = page.at(-1);
    if (!last) return;
    for (const event of page) ends.set(event.stream, verified(event, ends, file));
    yield page;
    after = last.position;
    await setImmediate();
  }
}

function verified(event: StoredEvent, ends: ReadonlyMap<string, ChainEnd>, file: string): ChainEnd {
  try {
    return verifyChain([event], ends.get(event.stream) ?? CHAIN_START);
  } catch (error) {
    throw error instanceof ChainBroken ? trouble('damaged', file, error.message) : error;
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CHAIN_START,
  type EventStore,
  MemoryDisk,
  openMemoryStore,
  openSqliteStore,
  seal,
  type SealedEvent,
  type StoredEvent,
} from '#event-store';
import { realWorld, type World } from '#world';

/** One place where events are kept. It is opened by one process after the other. */
export interface Adapter {
  open(world: World): Promise<EventStore>;
  /** Removes the place. */
  remove(): void;
}

export const adapters: Readonly<Record<string, () => Adapter>> = {
  memory: () => {
    const disk = new MemoryDisk();
    return { open: async (world) => openMemoryStore(world, disk), remove: () => undefined };
  },
  sqlite: () => {
    const directory = mkdtempSync(join(tmpdir(), 'snapledger-contract-'));
    return {
      open: (world) => openSqliteStore(world, join(directory, 'ledger.sqlite')),
      remove: () => rmSync(directory, { recursive: true }),
    };
  },
};

/** Counts the commits, and can make the next one fail. */
export function countedWorld() {
  const counted = { commits: 0, failAt: '' };
  const world = realWorld(async (point) => {
    if (point === 'store.after-commit') counted.commits += 1;
    if (point !== counted.failAt) return;
    counted.failAt = '';
    throw new Error('the disk shook');
  });
  return { world, counted };
}

/** Events to append to a stream that stands at `after`. */
export function sealedEvents(stream: string, count: number, after = CHAIN_START): SealedEvent[] {
  let previousHash = after.hash;
  return Array.from({ length: count }, (_, index) => {
    const version = after.version + 1 + index;
    const sealed = seal(
      {
        id: `${stream}-${version}`,
        type: 'Happened',
        stream,
        version: String(version),
        recordedAt: `2026-11-21T12:00:00.${String(version % 1_000).padStart(3, '0')}Z`,
        actor: 'test:me',
        correlationId: '',
        causationId: '',
        commandId: '',
        commandDigest: '',
        schemaVersion: '1',
        data: { größe: '✓', '😀': [1, 0.1, null], quoted: '"\\\u0000' },
      },
      previousHash,
    );
    previousHash = sealed.hash;
    return sealed;
  });
}

/** Appends after whatever the stream has. */
export async function record(store: EventStore, stream: string, count: number): Promise<string[]> {
  const { head } = await store.read(stream);
  return await store.append(stream, head.version, sealedEvents(stream, count, head));
}

/** The first `count` events after a position. */
export async function take(
  store: EventStore,
  position: string | null,
  count: number,
): Promise<StoredEvent[]> {
  const stop = new AbortController();
  const events: StoredEvent[] = [];
  for await (const batch of store.since(position, stop.signal)) {
    events.push(...batch);
    if (events.length >= count) stop.abort();
  }
  return events;
}

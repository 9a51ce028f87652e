import type { Asked } from '../decider.ts';
import type { ChainEnd, SealedEvent, StoredEvent } from '../envelope.ts';
import { openLedger } from '../handle.ts';
import { MemoryDisk, openMemoryStore } from '../memory/memory-store.ts';
import type { LedgerParts } from '../recall.ts';
import { seal } from '../seal.ts';
import type { EventStore } from '../store.ts';
import { type Jar, type JarCommand, type JarEvent, jars } from './jar.ts';
import { storyWorld } from './world.ts';

/** Test-only. A ledger of jars on a store that counts what is read from it. */
export function jarLedger(more: Partial<LedgerParts<Jar, JarCommand, JarEvent>> = {}) {
  const story = storyWorld();
  const disk = new MemoryDisk();
  const store = counted(more.store ?? openMemoryStore(story.world, disk));
  const parts = { world: story.world, decider: jars, ...more, store: store.store };
  return { story, disk, parts, ledger: openLedger(parts), ...store };
}

export function counted(inner: EventStore) {
  const reads: number[] = [];
  const store: EventStore = {
    get isShared() {
      return inner.isShared;
    },
    read: async (...args) => {
      const slice = await inner.read(...args);
      reads.push(slice.events.length);
      return slice;
    },
    append: (...args) => inner.append(...args),
    since: (...args) => inner.since(...args),
    head: () => inner.head(),
    close: () => inner.close(),
  };
  return { store, reads };
}

/** Who asks, in the tests: nobody in particular, for what `request` says. */
export const asked = (more: Partial<Asked> = {}): Asked => ({
  actor: 'http:me',
  correlationId: 'correlation',
  request: {},
  ...more,
});

/** Appends to a stream what a program of another time recorded there. */
export async function recordForeign(
  store: EventStore,
  stream: string,
  events: readonly ForeignEvent[],
): Promise<void> {
  const { head } = await store.read(stream);
  await store.append(stream, head.version, sealedAfter(head, stream, events));
}

/** The same, sealed and not yet appended. */
export function sealedAfter(head: ChainEnd, stream: string, events: readonly ForeignEvent[]): SealedEvent[] {
  let previousHash = head.hash;
  return events.map(({ type, schemaVersion = '1', data = {} }, index) => {
    const envelope = {
      id: `foreign-${index}`,
      type,
      stream,
      version: String(head.version + 1 + index),
      recordedAt: '2026-11-21T11:00:00.000Z',
      actor: 'http:you',
      correlationId: '',
      causationId: '',
      commandId: '',
      commandDigest: '',
      schemaVersion,
      data,
    };
    const sealed = seal(envelope, previousHash);
    previousHash = sealed.hash;
    return sealed;
  });
}

export interface ForeignEvent {
  readonly type: string;
  readonly schemaVersion?: string;
  readonly data?: object;
}

/** All that a stream holds. */
export const streamOf = async (store: EventStore, stream: string): Promise<readonly StoredEvent[]> =>
  (await store.read(stream)).events;

import type { World } from '#world';
import type { SealedEvent, StoredEvent } from '../envelope.ts';
import { type Append, CLOSED, GroupCommit, type Verdict } from '../group-commit.ts';
import { readBetween } from '../read-between.ts';
import { CHAIN_START, opened } from '../seal.ts';
import {
  type EventStore,
  PAGE_EVENTS_MAX,
  StoreTrouble,
  type StreamHead,
  type StreamSlice,
  VersionConflict,
} from '../store.ts';
import { Bell, tail } from '../tail.ts';

/** What a memory store keeps. Give it to the next store, and it has survived the crash of the one before. */
export class MemoryDisk {
  readonly events: StoredEvent[] = [];
  readonly streams = new Map<string, StoredEvent[]>();
  /** Rung when something was recorded, for all stores that have it. */
  readonly bell = new Bell();
  /** Whether more than one store may have it at a time. */
  isShared = false;
}

/**
 * An event store that forgets with its process: for tests, simulations and trying things out. Commits in groups
 * and passes the same fault points as the one on disk.
 */
export function openMemoryStore(world: World, disk: MemoryDisk = new MemoryDisk()): EventStore {
  const { bell } = disk;
  let isOpen = true;
  const last = (): string | null => disk.events.at(-1)?.position ?? null;
  const requireOpen = (): void => {
    if (!isOpen) throw new StoreTrouble('unavailable', CLOSED);
  };
  const commits = new GroupCommit(world, (batch) => {
    const verdicts = batch.map((append) => write(disk, append));
    bell.ring();
    return verdicts;
  });
  return {
    get isShared() {
      return disk.isShared;
    },
    read: (stream, fromVersion = 1, eventsMax) =>
      readBetween(world, () => {
        requireOpen();
        return slice(disk.streams.get(stream) ?? [], fromVersion, eventsMax);
      }),
    append: (stream, expectedVersion, events) => commits.append({ stream, expectedVersion, events }),
    since: (position, signal) =>
      tail(
        world,
        { bell, isOpen: () => isOpen, last, pageAfter: (at) => pageAfter(disk, at) },
        position,
        signal,
      ),
    head: () =>
      readBetween(world, () => {
        requireOpen();
        return last();
      }),
    close: async () => {
      await commits.close();
      isOpen = false;
      bell.ring();
    },
  };
}

function slice(all: readonly StoredEvent[], fromVersion: number, eventsMax = all.length): StreamSlice {
  const start = Math.max(fromVersion, 1) - 1;
  return { events: all.slice(start, start + eventsMax), head: headOf(all) };
}

function headOf(all: readonly StoredEvent[]): StreamHead {
  const last = all.at(-1);
  if (!last) return { ...CHAIN_START, recordedAt: '' };
  return { version: last.version, hash: last.hash, recordedAt: recordedAt(last) };
}

const instants = new WeakMap<StoredEvent, string>();

/** A head is asked for again and again, and to read the instant in it takes longer than all else. */
function recordedAt(event: StoredEvent): string {
  const known = instants.get(event) ?? opened(event).recordedAt;
  instants.set(event, known);
  return known;
}

function pageAfter(disk: MemoryDisk, position: string | null): readonly StoredEvent[] {
  const start = Number(position ?? 0); // Positions count from 1 here, so that of an event is its place plus one.
  return disk.events.slice(start, start + PAGE_EVENTS_MAX);
}

function write(disk: MemoryDisk, { stream, expectedVersion, events }: Append): Verdict {
  const kept = disk.streams.get(stream) ?? [];
  if (kept.length !== expectedVersion) return new VersionConflict(stream, expectedVersion, kept.length);
  disk.streams.set(stream, kept);
  return events.map((event, index) => keep(disk, kept, event, expectedVersion + 1 + index));
}

function keep(disk: MemoryDisk, kept: StoredEvent[], event: SealedEvent, version: number): string {
  const { record, previousHash, hash, envelope } = event;
  const position = String(disk.events.length + 1);
  const stored = { position, stream: envelope.stream, version, previousHash, hash, record };
  disk.events.push(stored);
  kept.push(stored);
  return position;
}

import { DatabaseSync } from 'node:sqlite';
import type { World } from '#world';
import type { StoredEvent } from '../envelope.ts';
import { type Append, CLOSED, GroupCommit, type Verdict } from '../group-commit.ts';
import { readBetween } from '../read-between.ts';
import { CHAIN_START, opened } from '../seal.ts';
import {
  type EventStore,
  StoreTrouble,
  type StreamHead,
  type StreamSlice,
  VersionConflict,
} from '../store.ts';
import { Bell, tail } from '../tail.ts';
import { inspect } from './inspect.ts';
import { Latest } from './latest.ts';
import { realPathOf, takeLock } from './lock.ts';
import { createFile, requireTrustedSqlite } from './schema.ts';
import { Reading, writing } from './statements.ts';
import { sqliteCode, told, translated, trouble } from './trouble.ts';
import { WalRoom } from './wal-room.ts';

/** Streams whose ids and versions are kept in memory, so that an append is one insert. */
const HEADS_MAX = 100_000;

/**
 * Pages of the write-ahead log (64 MiB) after which it is copied into the file. Everybody waits meanwhile, up to 100 ms,
 * so it should be rare; whoever opens the log after a crash reads through them.
 */
const CHECKPOINT_PAGES = 16_000;

const SQLITE_FULL = 13;

/**
 * Synced on every commit: what was acknowledged survives power loss. Said again on every open, because SQLite
 * does not keep it in the file. Nobody waits for a lock: the wait would stop the whole process. The page cache (in
 * KiB) is small: the kernel keeps the file as well, and appends are no faster with a larger one.
 */
const SETTINGS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
  PRAGMA journal_size_limit = 67108864;
  PRAGMA cache_size = -8192`;

/**
 * Opens the log in `file`, or makes a new one there, and locks other writers out.
 * Throws a `StoreTrouble`; the file is then untouched.
 */
export async function openSqliteStore(world: World, file: string): Promise<EventStore> {
  requireTrustedSqlite();
  const path = realPathOf(file);
  const lock = takeLock(path);
  try {
    if (inspect(path) === 'missing') createFile(path);
    return new SqliteStore(world, path, { lock, db: openForWriting(path) });
  } catch (error) {
    lock.close();
    throw error;
  }
}

function openForWriting(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 0 });
  try {
    told(file, () => db.exec(SETTINGS));
    const mode = db.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
    if (mode === 'wal') return db;
    throw trouble('unavailable', file, 'this file system cannot keep a write-ahead log');
  } catch (error) {
    db.close();
    throw error;
  }
}

interface Opened {
  /** Held, not used: when it is let go, another process may write. */
  readonly lock: DatabaseSync;
  readonly db: DatabaseSync;
}

/** Where a stream stands in this file, with what is not committed yet. */
interface Place {
  readonly id: number;
  readonly version: number;
}

class SqliteStore implements EventStore {
  /** The lock keeps all others out. */
  readonly isShared = false;
  readonly #world: World;
  readonly #file: string;
  readonly #lock: DatabaseSync;
  readonly #db: DatabaseSync;
  readonly #reading: Reading;
  readonly #writing: ReturnType<typeof writing>;
  readonly #commits: GroupCommit;
  readonly #room: WalRoom;
  readonly #bell = new Bell();
  readonly #latest = new Latest();
  readonly #places = new Map<string, Place>();
  #isOpen = true;

  constructor(world: World, file: string, { lock, db }: Opened) {
    this.#world = world;
    this.#file = file;
    this.#lock = lock;
    this.#db = db;
    this.#reading = new Reading(db);
    this.#writing = writing(db);
    this.#room = new WalRoom(file);
    this.#commits = new GroupCommit(world, (batch) => this.#commit(batch));
  }

  async read(stream: string, fromVersion = 1, eventsMax = Number.MAX_SAFE_INTEGER): Promise<StreamSlice> {
    return readBetween(this.#world, () =>
      this.#told(() => {
        const from = Math.max(fromVersion, 1);
        const events = this.#reading.slice(stream, from, eventsMax);
        const head = this.#headOf(stream);
        const expected = Math.max(0, Math.min(head.version - from + 1, eventsMax));
        if (events.length !== expected || events.some(({ version }, index) => version !== from + index)) {
          throw trouble('damaged', this.#file, `events of ${stream} are missing`);
        }
        return { events, head };
      }),
    );
  }

  append(...[stream, expectedVersion, events]: Parameters<EventStore['append']>): Promise<string[]> {
    return this.#commits.append({ stream, expectedVersion, events });
  }

  since(position: string | null, signal: AbortSignal): AsyncIterable<readonly StoredEvent[]> {
    const log = {
      bell: this.#bell,
      isOpen: () => this.#isOpen,
      last: () => this.#told(() => this.#reading.last()),
      pageAfter: (after: string | null) =>
        this.#told(() => this.#latest.pageAfter(after) ?? this.#reading.page(after)),
    };
    return tail(this.#world, log, position, signal);
  }

  async head(): Promise<string | null> {
    return readBetween(this.#world, () => this.#told(() => this.#reading.last()));
  }

  async close(): Promise<void> {
    await this.#commits.close();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#bell.ring();
    this.#room.close();
    this.#db.close();
    this.#lock.close();
  }

  #told<T>(work: () => T): T {
    if (!this.#isOpen) throw new StoreTrouble('unavailable', CLOSED);
    return told(this.#file, work);
  }

  #headOf(stream: string): StreamHead {
    const last = this.#reading.lastOf(stream);
    if (!last) return { ...CHAIN_START, recordedAt: '' };
    return { version: last.version, hash: last.hash, recordedAt: opened(last).recordedAt };
  }

  /** Nothing is awaited in here: between BEGIN and COMMIT this process does nothing else. */
  #commit(batch: readonly Append[]): readonly Verdict[] {
    let effect: StoreTrouble['effect'] = 'none';
    try {
      this.#writing.begin.run();
      const stored: StoredEvent[] = [];
      const verdicts = batch.map((append) => this.#write(append, stored));
      effect = 'unknown';
      this.#writing.commit.run();
      this.#room.keep();
      this.#latest.keep(stored);
      this.#bell.ring();
      return verdicts;
    } catch (error) {
      this.#rollBack();
      // A full disk tears the commit before its last page. Other errors may come after it: a crash now could
      // bring the commit back.
      throw translated(error, this.#file, sqliteCode(error) === SQLITE_FULL ? 'none' : effect);
    }
  }

  #rollBack(): void {
    this.#places.clear();
    if (this.#db.isTransaction) told(this.#file, () => this.#writing.rollback.run());
  }

  /** Adds to `stored` what it has written. */
  #write({ stream, expectedVersion, events }: Append, stored: StoredEvent[]): Verdict {
    const place = this.#placeOf(stream);
    if (place.version !== expectedVersion) return new VersionConflict(stream, expectedVersion, place.version);
    const id = place.id || Number(this.#writing.newStream.run(stream).lastInsertRowid);
    const positions = events.map(({ previousHash, hash, record }, index) => {
      const version = expectedVersion + 1 + index;
      const inserted = this.#writing.insert.run(id, version, previousHash, hash, record);
      const position = String(inserted.lastInsertRowid);
      stored.push({ position, stream, version, previousHash, hash, record });
      return position;
    });
    this.#places.set(stream, { id, version: expectedVersion + events.length });
    return positions;
  }

  /** Id 0: the stream does not exist. */
  #placeOf(stream: string): Place {
    const kept = this.#places.get(stream);
    if (kept) return kept;
    if (this.#places.size >= HEADS_MAX) this.#places.clear(); // They are found again in microseconds.
    const found = this.#writing.place.get(stream);
    return { id: Number(found?.['id'] ?? 0), version: Number(found?.['version'] ?? 0) };
  }
}

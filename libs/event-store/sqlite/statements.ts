import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { StoredEvent } from '../envelope.ts';
import { PAGE_EVENTS_MAX } from '../store.ts';

/** position, stream, version, previous hash, hash, record. The tables are STRICT, and `inspect` saw them. */
type EventRow = readonly [number, string, number, string, string, string];

const COLUMNS = 'e.position, s.name, e.version, e.previous_hash, e.hash, e.record';
const ONE_STREAM = 'FROM streams s JOIN events e ON e.stream_id = s.id WHERE s.name = ?';

/** Reads events in pages. No cursor is left open: it would keep the write-ahead log from being emptied. */
export class Reading {
  readonly #last: StatementSync;
  readonly #lastOf: StatementSync;
  readonly #slice: StatementSync;
  readonly #page: StatementSync;

  constructor(db: DatabaseSync) {
    this.#last = db.prepare('SELECT max(position) AS position FROM events');
    this.#lastOf = inArrays(db.prepare(`SELECT ${COLUMNS} ${ONE_STREAM} ORDER BY e.version DESC LIMIT 1`));
    this.#slice = inArrays(
      db.prepare(`SELECT ${COLUMNS} ${ONE_STREAM} AND e.version >= ? ORDER BY e.version LIMIT ?`),
    );
    this.#page = inArrays(
      db.prepare(
        `SELECT ${COLUMNS} FROM events e CROSS JOIN streams s ON s.id = e.stream_id ` +
          `WHERE e.position > ? ORDER BY e.position LIMIT ${PAGE_EVENTS_MAX}`,
      ),
    );
  }

  /** The last position; null when there is none. */
  last(): string | null {
    const position = this.#last.get()?.['position'];
    return typeof position === 'number' ? String(position) : null;
  }

  lastOf(stream: string): StoredEvent | undefined {
    return storedEvents(this.#lastOf.all(stream))[0];
  }

  slice(stream: string, fromVersion: number, eventsMax: number): StoredEvent[] {
    return storedEvents(this.#slice.all(stream, fromVersion, eventsMax));
  }

  page(after: string | null): StoredEvent[] {
    return storedEvents(this.#page.all(Number(after ?? 0)));
  }
}

/** Arrays instead of objects: reading a million events takes half the time. */
function inArrays(statement: StatementSync): StatementSync {
  statement.setReturnArrays(true);
  return statement;
}

function storedEvents(rows: unknown): StoredEvent[] {
  return (rows as readonly EventRow[]).map(([position, stream, version, previousHash, hash, record]) => ({
    position: String(position),
    stream,
    version,
    previousHash,
    hash,
    record,
  }));
}

export const writing = (db: DatabaseSync) => ({
  begin: db.prepare('BEGIN IMMEDIATE'),
  commit: db.prepare('COMMIT'),
  rollback: db.prepare('ROLLBACK'),
  place: db.prepare(`SELECT s.id, max(e.version) AS version ${ONE_STREAM}`),
  newStream: db.prepare('INSERT INTO streams (name) VALUES (?)'),
  insert: db.prepare(
    'INSERT INTO events (stream_id, version, previous_hash, hash, record) VALUES (?, ?, ?, ?, ?)',
  ),
});

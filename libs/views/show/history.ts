import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import type { HistoryAction, HistoryEntry, OperationOutcome } from '../shapes.ts';
import { all, one } from '../sql.ts';
import { type Counted, cursorOf, moreAt, type Page, sizeOf } from './page.ts';
import type { Places } from './places.ts';

/** Entries that came after the first page are not of its list. */
const Cursor = z.object({ after: z.int().positive(), last: z.int().nonnegative() });

interface EntryRow {
  readonly number: number;
  readonly recorded_at: string;
  readonly actor: string;
  readonly action: HistoryAction;
  readonly snapshot_id: string | null;
  readonly name: string | null;
  readonly operation_id: string | null;
  readonly outcome: OperationOutcome;
  readonly reason: string | null;
}

const statements = (db: DatabaseSync) => ({
  last: db.prepare('SELECT coalesce(max(number), 0) AS number FROM history WHERE vm = ?'),
  list: db.prepare(
    'SELECT * FROM history WHERE vm = ? AND number > ? AND number <= ? ORDER BY number LIMIT ?',
  ),
});

/** Shows what was done to a VM. */
export class Histories {
  readonly #places: Places;
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: DatabaseSync, places: Places) {
    this.#places = places;
    this.#sql = statements(db);
  }

  /** Oldest first, of a forgotten VM too; nothing when there never was such a VM. Throws `invalid-query`. */
  list(vmId: string, query: Page): Counted & { readonly entries: readonly HistoryEntry[] } {
    const about = ['history', vmId];
    const cursor = cursorOf(query, about, Cursor);
    const vm = this.#places.find(vmId)?.vm ?? 0;
    const last = cursor?.last ?? one<{ number: number }>(this.#sql.last, vm)?.number ?? 0;
    const pageSize = sizeOf(query);
    const rows = all<EntryRow>(this.#sql.list, vm, cursor?.after ?? 0, last, pageSize);
    const after = rows.at(-1)?.number ?? last;
    return {
      entries: rows.map(entryOf),
      totalSize: last, // They are numbered from 1 without a gap.
      ...moreAt(about, after === last ? null : { after, last }),
    };
  }
}

const entryOf = (row: EntryRow): HistoryEntry => ({
  at: row.recorded_at,
  actor: row.actor,
  action: row.action,
  snapshotId: row.snapshot_id,
  name: row.name,
  operationId: row.operation_id,
  outcome: row.outcome,
  ...(row.reason !== null && { reason: row.reason }),
});

import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { comparePositions, recorded, type StoredEvent } from '#event-store';
import type { RegistryEvent, VmEvent } from '#ledger';
import { all, isBroken, isLocked, one } from './sql.ts';
import { ALL_TABLES, type Checkpoint, Projection } from './write/projection.ts';
import { whyForeign } from './write/file.ts';
import { readEvent } from './write/reading.ts';

/**
 * Why views could not be compared: another process has them open, another version of the program made them, or SQLite
 * cannot read them.
 */
export type NotCompared = 'in-use' | 'foreign' | 'damaged';

/** A table that is not what the log says. */
export interface TableDifference {
  readonly table: string;
  /** The first row that only one of the two has. */
  readonly row: string;
  readonly only: 'stored' | 'rebuilt';
}

export interface ViewsCompared {
  /** Events that the stored views show. */
  readonly events: number;
  /** Whether they show more than the log holds, or another log. */
  readonly isAhead: boolean;
  /** Whether SQLite could not read all of the stored ones. */
  readonly isDamaged: boolean;
  readonly differences: readonly TableDifference[];
}

/** A file that SQLite makes for us, and removes when we close it. */
const TEMPORARY = '';

/**
 * Holds stored views beside views that are built from the log at the same time. Changes nothing in the file. The log is
 * told page by page, in its order, and the views may have come less far than it.
 */
export class ViewsCheck {
  readonly #stored: DatabaseSync;
  readonly #rebuilt: DatabaseSync;
  readonly #projection: Projection;
  readonly #checkpoint: Checkpoint | null;
  #events = 0;

  private constructor(stored: DatabaseSync) {
    this.#stored = stored;
    this.#rebuilt = new DatabaseSync(TEMPORARY);
    this.#rebuilt.exec('PRAGMA synchronous = OFF; BEGIN');
    for (const { tables } of ALL_TABLES) this.#rebuilt.exec(tables);
    const indexes = ALL_TABLES.flatMap((table) => table.indexes);
    this.#projection = new Projection(this.#rebuilt, indexes);
    this.#checkpoint =
      one<Checkpoint>(stored.prepare('SELECT position, hash, before FROM checkpoint')) ?? null;
  }

  /** Opens the views in `file`, which exists, or says why they cannot be compared. Throws what SQLite has against them. */
  static open(file: string): ViewsCheck | NotCompared {
    const stored = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    try {
      if (whyForeign(stored) === null) return new ViewsCheck(stored);
    } catch (error) {
      stored.close();
      if (isLocked(error)) return 'in-use';
      if (isBroken(error)) return 'damaged';
      throw error;
    }
    stored.close();
    return 'foreign';
  }

  /** Builds on, up to the event that the stored views show last. */
  tell(page: readonly StoredEvent[]): void {
    for (const stored of page) {
      if (!this.#checkpoint || comparePositions(stored.position, this.#checkpoint.position) > 0) return;
      this.#projection.apply(recorded<VmEvent | RegistryEvent>(stored, { read: readEvent }));
      this.#events += 1;
    }
  }

  /** To be called when the log has ended. Row by row, in an order that does not depend on how a row came there. */
  compare(): ViewsCompared {
    this.#projection.settle();
    const differences: TableDifference[] = [];
    let isDamaged = false;
    for (const table of ALL_TABLES.flatMap(({ tables }) => namesIn(tables))) {
      try {
        const difference = this.#differenceIn(table);
        if (difference) differences.push(difference);
      } catch (error) {
        if (!isBroken(error)) throw error;
        isDamaged = true;
      }
    }
    const last = this.#projection.checkpoint();
    const isAhead = last?.hash !== this.#checkpoint?.hash || last?.position !== this.#checkpoint?.position;
    return { events: this.#events, isAhead, isDamaged, differences };
  }

  close(): void {
    this.#stored.close();
    this.#rebuilt.close();
  }

  #differenceIn(table: string): TableDifference | null {
    const columns = all(this.#rebuilt.prepare(`PRAGMA table_info(${table})`)).length;
    const order = Array.from({ length: columns }, (_, column) => column + 1).join(', ');
    const query = `SELECT * FROM ${table} ORDER BY ${order}`;
    const [stored, rebuilt] = [rowsOf(this.#stored, query), rowsOf(this.#rebuilt, query)];
    for (;;) {
      const [kept, wanted] = [nextRow(stored), nextRow(rebuilt)];
      if (kept === null && wanted === null) return null;
      if (kept === wanted) continue;
      if (kept === null || (wanted !== null && wanted < kept))
        return { table, row: wanted ?? '', only: 'rebuilt' };
      return { table, row: kept, only: 'stored' };
    }
  }
}

/** What `CREATE TABLE` statements call their tables. */
const namesIn = (tables: string): string[] =>
  [...tables.matchAll(/CREATE TABLE (\w+)/g)].map(([, name = '']) => name);

function rowsOf(db: DatabaseSync, query: string): Iterator<readonly SQLOutputValue[]> {
  const statement = db.prepare(query);
  statement.setReturnArrays(true);
  return statement.iterate() as Iterator<unknown> as Iterator<readonly SQLOutputValue[]>;
}

function nextRow(rows: Iterator<readonly SQLOutputValue[]>): string | null {
  const next = rows.next();
  return next.done ? null : JSON.stringify(next.value);
}

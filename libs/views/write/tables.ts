import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** Rows that one statement writes: at this size a row costs half of what it costs alone. */
const ROWS_PER_STATEMENT = 16;

/** What a view keeps in the file. On any change, also in what it writes, raise `version`: all is built anew. */
export interface ViewTables {
  readonly name: string;
  readonly version: number;
  readonly tables: string;
  /** `CREATE INDEX` statements. Made after a rebuild, because rows are added faster without. */
  readonly indexes: readonly string[];
}

/** Rows on their way into a table. A row replaces the one that has its key. */
export class Rows {
  readonly #columns: number;
  readonly #single: StatementSync;
  readonly #many: StatementSync;
  /** Value after value: rows of their own would only be garbage. */
  #waiting: SQLInputValue[] = [];

  constructor(db: DatabaseSync, table: string, columns: number) {
    const row = `(${Array(columns).fill('?').join(', ')})`;
    const insert = `INSERT OR REPLACE INTO ${table} VALUES`;
    this.#columns = columns;
    this.#single = db.prepare(`${insert} ${row}`);
    this.#many = db.prepare(`${insert} ${Array(ROWS_PER_STATEMENT).fill(row).join(', ')}`);
  }

  add(...row: SQLInputValue[]): void {
    this.#waiting.push(...row);
    if (this.#waiting.length < ROWS_PER_STATEMENT * this.#columns) return;
    this.#many.run(...this.#waiting);
    this.#waiting = [];
  }

  write(): void {
    for (let at = 0; at < this.#waiting.length; at += this.#columns) {
      this.#single.run(...this.#waiting.slice(at, at + this.#columns));
    }
    this.#waiting = [];
  }
}

/** The tables of all views, as those see them who write. */
export class Tables {
  readonly db: DatabaseSync;
  readonly #rows: Rows[] = [];
  #missing: readonly string[];

  /** `missing`: the indexes that a file which is being built has not got yet. */
  constructor(db: DatabaseSync, missing: readonly string[]) {
    this.db = db;
    this.#missing = missing;
  }

  rows(table: string, columns: number): Rows {
    const rows = new Rows(this.db, table, columns);
    this.#rows.push(rows);
    return rows;
  }

  write(): void {
    for (const rows of this.#rows) rows.write();
  }

  /**
   * To be called before looking for what may not be remembered. A rebuild that is never in need of it, and most
   * are not, searches nothing and makes its indexes at the end.
   */
  search(): void {
    this.write();
    while (this.indexOneMore());
  }

  /** False when there is nothing left to do. Takes a second for a million rows. */
  indexOneMore(): boolean {
    const [index, ...missing] = this.#missing;
    if (index === undefined) return false;
    this.db.exec(index);
    this.#missing = missing;
    return true;
  }
}

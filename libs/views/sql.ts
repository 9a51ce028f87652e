import type { SQLInputValue, StatementSync } from 'node:sqlite';

/** The first row. Believed to be what the caller says: the tables are STRICT, and nobody else writes them. */
export const one = <Row>(statement: StatementSync, ...values: SQLInputValue[]): Row | undefined =>
  statement.get(...values) as Row | undefined;

/** All rows, believed like `one`. */
export const all = <Row>(statement: StatementSync, ...values: SQLInputValue[]): readonly Row[] =>
  statement.all(...values) as unknown as readonly Row[];

/** SQLite's result codes (sqlite.org/rescode.html) after which a file is better built anew than used. */
const BROKEN = new Set([
  1, // SQLITE_ERROR: a table is missing.
  11, // SQLITE_CORRUPT
  19, // SQLITE_CONSTRAINT: rows stand there that the log does not explain.
  20, // SQLITE_MISMATCH
  26, // SQLITE_NOTADB
]);

/** The low byte is the code, the rest says more about it. */
const CODE_MASK = 0xff;

const LOCKED = 5;

/** Whether SQLite says that a file of views cannot be trusted any more. */
export const isBroken = (error: unknown): boolean => BROKEN.has(codeOf(error) ?? 0);

/** Whether SQLite says that somebody else has the file. */
export const isLocked = (error: unknown): boolean => codeOf(error) === LOCKED;

/** SQLite's result code; null when it is not SQLite who has thrown. */
const codeOf = (error: unknown): number | null =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & CODE_MASK
    : null;

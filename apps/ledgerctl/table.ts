import type { Screen } from './screen.ts';
import { padded, widthOf } from './width.ts';

/**
 * A table of one line per row, two spaces between the columns, with a line break at the end: easy to read and to
 * cut. The cells are harmless already.
 */
export function table(screen: Screen, head: readonly string[], body: readonly (readonly string[])[]): string {
  const rows = [head.map((title) => screen.paint('bold', title.toUpperCase())), ...body];
  const widths = head.map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? '')), 0),
  );
  return rows.map((row) => lineOf(row, widths)).join('');
}

const lineOf = (row: readonly string[], widths: readonly number[]): string =>
  `${row
    .map((cell, column) => padded(cell, widths[column] ?? 0))
    .join('  ')
    .trimEnd()}\n`;

/** Facts about one thing, one a line. Null: there is none, and no line. */
export function facts(pairs: readonly (readonly [name: string, value: string | null])[]): string {
  const known = pairs.filter(([, value]) => value !== null);
  const width = Math.max(...known.map(([name]) => name.length)) + 1;
  return known.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}\n`).join('');
}

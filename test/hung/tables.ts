import type { Cut } from './cuts.ts';
import { type Ordeal, RECOVERED_WITHIN_MS } from './ordeal.ts';

/** How the creates ended, by which way the connection broke. */
export function cutTable(cuts: readonly Cut[], wrong: readonly string[]): string {
  const rows = Map.groupBy(cuts, ({ direction, isCut, ended }) => {
    const where = isCut ? `broken ${direction}` : 'not broken';
    return `${where.padEnd(18)} | ${ended.padEnd(28)}`;
  });
  const lines = [...rows].toSorted().map(([row, those]) => {
    const slowestMs = Math.max(...those.map(({ tookMs }) => tookMs));
    return `${String(those.length).padStart(6)} × ${row} | ${slowestMs.toFixed(0).padStart(6)} ms at most`;
  });
  return [...lines, `${cuts.length} creates, ${wrong.length} things wrong`, ...wrong].join('\n');
}

/** How requests ended, by what went wrong in their middle. */
export function ordealTable(ordeals: readonly Ordeal[]): string {
  const rows = Map.groupBy(ordeals, ({ kind, cause, ended }) => {
    return `${cause.padEnd(26)} | ${kind.padEnd(34)} | ${ended.padEnd(28)}`;
  });
  const lines = [...rows].toSorted().map(([row, those]) => {
    const slowestMs = Math.max(...those.map(({ recoveredMs }) => recoveredMs));
    const count = String(those.length).padStart(4);
    return `${count} × ${row} | ${slowestMs.toFixed(0).padStart(6)} ms | ${neighbourIn(those)}`;
  });
  return [...lines, `answers meanwhile: ${answersIn(ordeals)}`, ...wrongIn(ordeals)].join('\n');
}

function neighbourIn(ordeals: readonly Ordeal[]): string {
  const times = ordeals
    .flatMap(({ neighbourTimes }) => neighbourTimes ?? [])
    .toSorted((one, other) => one - other);
  const middle = times[Math.floor(times.length / 2)];
  return middle === undefined ? '' : `neighbour × ${middle.toFixed(1)}`;
}

function answersIn(ordeals: readonly Ordeal[]): string {
  const counts = Map.groupBy(
    ordeals.flatMap(({ answers }) => answers),
    (answer) => answer,
  );
  return [...counts]
    .toSorted()
    .map(([answer, { length }]) => `${length} × ${answer}`)
    .join(', ');
}

/** What was wrong, and what took too long. */
export const wrongIn = (ordeals: readonly Ordeal[]): string[] =>
  ordeals.flatMap(({ kind, cause, at, ended, recoveredMs, wrong }) => {
    const late = recoveredMs > RECOVERED_WITHIN_MS ? [`it took ${recoveredMs.toFixed(0)} ms to recover`] : [];
    return [...wrong, ...late].map((why) => `${cause}, ${kind} at ${at}, ${ended}: ${why}`);
  });

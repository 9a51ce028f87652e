import type { Outcome } from './round.ts';
import { VERDICTS } from './verdict.ts';

/** How the requests ended, by kind and by who died. */
export function chaosTable(outcomes: readonly Outcome[]): string {
  const rows = Map.groupBy(outcomes, ({ death, ended, hasDied }) => {
    const who = hasDied ? death.victim : 'nobody';
    return `${death.kind.name.padEnd(42)} | ${who.padEnd(7)} | ${ended}`;
  });
  return [...rows]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([row, those]) => {
      const slowest = Math.max(...those.map(({ convergedMs }) => convergedMs));
      const wrong = those.filter((outcome) => outcome.wrong.length > 0).length;
      const count = String(those.length).padStart(5);
      return `${count} × ${row.padEnd(92)} | ${slowest.toFixed(0).padStart(6)} ms at most${wrong > 0 ? ` | ${wrong} WRONG` : ''}`;
    })
    .join('\n');
}

/** Of how many deaths each verdict was found. */
export const verdicts = (outcomes: readonly Outcome[]): Record<string, number> =>
  Object.fromEntries(
    VERDICTS.map((name) => [
      name,
      outcomes.filter(({ wrong }) => wrong.some(({ verdict }) => verdict === name)).length,
    ]),
  );

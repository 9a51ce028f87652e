import { KIND_RULES, type Kind, KINDS } from './point-kinds.ts';

/** How often each kind of fault has struck each touch; null where it cannot come. */
export interface FaultRow {
  readonly touch: string;
  readonly begun: number;
  readonly struck: Readonly<Record<Kind, number | null>>;
}

type Struck = ReadonlyMap<string, ReadonlyMap<Kind, number>>;

export const faultRows = (begun: ReadonlyMap<string, number>, struck: Struck): FaultRow[] =>
  [...begun]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([touch, times]) => ({
      ...{ touch, begun: times },
      struck: Object.fromEntries(
        KINDS.map((kind) => [
          kind,
          KIND_RULES[kind].canCome(touch) ? (struck.get(touch)?.get(kind) ?? 0) : null,
        ]),
      ) as Record<Kind, number | null>,
    }));

/** Cells that would be hit less often than `leastOf100000` in 100,000 worlds, were these worlds typical. */
export const seldomHit = (rows: readonly FaultRow[], worlds: number, leastOf100000 = 100): string[] =>
  rows.flatMap(({ touch, struck }) =>
    KINDS.filter((kind) => (struck[kind] ?? Infinity) * 100_000 < leastOf100000 * worlds).map(
      (kind) => `${kind} at ${touch}: ${struck[kind]}`,
    ),
  );

const TOUCH_WIDTH = 46;
const WIDTH = 8;

const lineOf = (first: string, cells: readonly (string | number | undefined)[]): string =>
  first.padEnd(TOUCH_WIDTH) + cells.map((cell) => String(cell ?? '').padStart(WIDTH + 1)).join('');

/** The table of touches by kinds of faults, and under it the rule for every place where nothing can stand. */
export function faultTable(rows: readonly FaultRow[]): string {
  const words = KINDS.map((kind) => kind.split(' '));
  const heads = [0, 1].map((line) =>
    words.map((word) => (word.length === 1 && line === 1 ? word[0] : word.length === 1 ? '' : word[line])),
  );
  const cellsOf = ({ begun, struck }: FaultRow) => [begun, ...KINDS.map((kind) => struck[kind] ?? '—')];
  const rules = KINDS.flatMap((kind) => {
    const { elsewhere } = KIND_RULES[kind];
    return elsewhere === '' ? [] : [`  — under "${kind}": ${elsewhere}`];
  });
  return [
    lineOf('', ['', ...(heads[0] ?? [])]),
    lineOf('fault point × kind of fault', ['passed', ...(heads[1] ?? [])]),
    ...rows.map((row) => lineOf(`  ${row.touch}`, cellsOf(row))),
    ...rules,
  ].join('\n');
}

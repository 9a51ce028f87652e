/** One line of the bench: a figure of ours beside its baseline, both taken in the same run. */
export interface Row {
  readonly what: string;
  readonly ours: Figure;
  /** Null where there is nothing to compare with: then the goal is absolute. */
  readonly baseline: Figure | null;
  /** What libvirt does in the same time; in words where it cannot be asked. */
  readonly libvirt?: Figure | string;
  /** Null where nobody has set one. */
  readonly goal: string | null;
  readonly reached: boolean;
}

export interface Figure {
  readonly label: string;
  readonly value: number;
  readonly unit: '/s' | 'ms' | 's' | 'MiB' | '×' | 'per append';
}

/** The middle one; half of what was measured is below. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The value below which the share `q` of what was measured lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** Runs `work` and gives back how long it took, in ms. */
export async function timed(work: () => unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export const shown = ({ value, unit }: Figure): string => {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
};

/** The rows as a table for people. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ what, ours, baseline, libvirt = '–', goal, reached }) => [
    what,
    `${shown(ours)} ${ours.label}`,
    baseline ? `${shown(baseline)} ${baseline.label}` : '–',
    baseline ? `${(ours.value / baseline.value).toFixed(2)}×` : '–',
    typeof libvirt === 'string' ? libvirt : `${shown(libvirt)} ${libvirt.label}`,
    goal ?? '–',
    goal === null ? '' : reached ? 'reached' : 'MISSED',
  ]);
  const lines = [['what', 'ours', 'baseline of this run', 'ratio', 'libvirt', 'goal', ''], ...cells];
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

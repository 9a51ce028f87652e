import type { Simulated } from './simulated.ts';
import type { PointCount } from './ledgerd-service.ts';
import { touchFamily } from './point-faults.ts';
import type { Kind } from './point-kinds.ts';

/** What many worlds come to. */
export class Tally {
  readonly faults = new Map<string, number>();
  readonly points = new Map<string, PointCount>();
  readonly begun = new Map<string, number>();
  readonly struck = new Map<string, Map<Kind, number>>();
  readonly outcomes = new Map<string, number>();
  readonly failed: Simulated[] = [];
  #worlds = 0;
  #lines = 0;
  #simulatedMs = 0;

  add(result: Simulated): void {
    this.#worlds += 1;
    this.#lines += result.traceLines;
    this.#simulatedMs += result.simulatedMs;
    addAll(this.faults, result.faults);
    addAll(this.outcomes, result.outcomes);
    for (const [name, { passed, killed }] of result.points) {
      const point = this.points.get(name) ?? { passed: 0, killed: 0 };
      this.points.set(name, { passed: point.passed + passed, killed: point.killed + killed });
    }
    for (const [touch, times] of result.begun) addAll(this.begun, new Map([[touchFamily(touch), times]]));
    for (const [touch, kinds] of result.struck) {
      const sum = this.struck.get(touchFamily(touch)) ?? new Map<Kind, number>();
      addAll(sum, kinds);
      this.struck.set(touchFamily(touch), sum);
    }
    if (result.violation) this.failed.push(result);
  }

  get worldsCount(): number {
    return this.#worlds;
  }

  /** One line. */
  summary(): string {
    const hours = (this.#simulatedMs / 3_600_000).toFixed(1);
    const died = [...this.points.values()].reduce((sum, { killed }) => sum + killed, 0);
    return (
      `${this.#worlds} worlds, ${hours} simulated hours, ${this.#lines} lines of trace, ` +
      `${this.points.size} points passed and ${died} times died at, ${this.failed.length} violations`
    );
  }

  /** What went wrong how often, where the program died, and how everything ended. */
  tables(): string {
    const points = new Map(
      [...this.points].map(([name, { passed, killed }]) => [name, `${pad(passed)} ${pad(killed)}`]),
    );
    return [
      table('fault', this.faults),
      table('point (passed, died at)', points),
      table('answer or outcome', this.outcomes),
    ].join('\n\n');
  }
}

function addAll<K>(totals: Map<K, number>, counts: ReadonlyMap<K, number>): void {
  for (const [name, count] of counts) totals.set(name, (totals.get(name) ?? 0) + count);
}

const pad = (value: string | number): string => String(value).padStart(9);

const table = (title: string, rows: ReadonlyMap<string, string | number>): string =>
  [title, ...[...rows].toSorted().map(([name, value]) => `  ${name.padEnd(48)} ${pad(value)}`)].join('\n');

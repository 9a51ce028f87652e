import type { StatementSync } from 'node:sqlite';
import { isAlive, type Known } from './known.ts';
import { PINS, RETIRED, USED } from './roll.ts';
import type { Rolls } from './rolls.ts';
import type { SnapshotStanding } from '../shapes.ts';
import { one } from '../sql.ts';
import type { Rows, Tables } from './tables.ts';
import type { Happening } from './view.ts';

/** Where each snapshot stands, and the lists that follow: who is in use, retired, deleted or failed, by what name. */
export class Standings {
  readonly #tables: Tables;
  readonly #rolls: Rolls;
  readonly #stages: Rows;
  readonly #names: Rows;
  readonly #deleting: StatementSync;

  constructor(tables: Tables, rolls: Rolls) {
    this.#tables = tables;
    this.#rolls = rolls;
    this.#stages = tables.rows('stages', 4);
    this.#names = tables.rows('names', 4);
    this.#deleting = tables.db.prepare(`
      SELECT id FROM snapshots s WHERE vm = ? AND number = ? AND 'deleting' = (
        SELECT status FROM stages t WHERE t.vm = s.vm AND t.number = s.number ORDER BY version DESC LIMIT 1)`);
  }

  /** A new one. That it is pending, and later complete, needs no row in `stages`: `snapshots` says so. */
  begin(at: Happening, { number, name, implicit }: Known): void {
    if (!implicit) at.head.counts.pending += 1;
    this.#rolls.add(at, implicit ? PINS : USED, number);
    this.#names.add(at.head.vm, name, at.version, number);
  }

  created(at: Happening, known: Known): void {
    this.#change(at, known, 'complete');
  }

  move(at: Happening, known: Known, status: SnapshotStanding): void {
    const { vm } = at.head;
    this.#change(at, known, status);
    this.#stages.add(vm, known.number, at.version, status);
    if (!isAlive(status)) this.#names.add(vm, known.name, at.version, null);
  }

  rename(at: Happening, known: Known, name: string): void {
    this.#names.add(at.head.vm, known.name, at.version, null);
    this.#names.add(at.head.vm, name, at.version, known.number);
    known.name = name;
  }

  /** The ids of those that are being deleted. */
  deleting({ head }: Happening): readonly string[] {
    if (head.deleting) return head.deleting;
    this.#tables.search();
    return [...this.#rolls.members(head, USED), ...this.#rolls.members(head, PINS)]
      .map((number) => one<{ id: string }>(this.#deleting, head.vm, number)?.id)
      .filter((id) => id !== undefined);
  }

  #change(at: Happening, known: Known, status: SnapshotStanding): void {
    const { counts } = at.head;
    if (!known.implicit) {
      counts[known.status] -= 1;
      counts[status] += 1;
    }
    const from = listOf(known.status, known.implicit);
    const to = listOf(status, known.implicit);
    if (status === 'deleting') known.before = known.status;
    known.status = status;
    if (from === to) return;
    if (from !== null) this.#rolls.strike(at, from, known.number);
    if (to !== null) this.#rolls.add(at, to, known.number);
  }
}

/** The list of those that stand so; null for the two ends. */
function listOf(status: SnapshotStanding, implicit: 0 | 1): number | null {
  switch (status) {
    case 'pending':
    case 'complete':
    case 'deleting':
    case 'lost':
    case 'suspect':
      return implicit ? PINS : USED;
    case 'retired':
      return implicit ? PINS : RETIRED;
    case 'deleted':
    case 'failed':
      return null;
  }
}

import type { StatementSync } from 'node:sqlite';
import type { Head, Heads } from './heads.ts';
import type { SnapshotStanding } from '../shapes.ts';
import { one } from '../sql.ts';
import type { Tables } from './tables.ts';

/** What the views must know of a snapshot to understand the next event about it. */
export interface Known {
  readonly id: string;
  readonly number: number;
  status: SnapshotStanding;
  /** Where it stood before it was to be deleted. */
  before: SnapshotStanding;
  name: string;
  /** 1 for what a load has saved of the present; 0 for what somebody asked for. */
  readonly implicit: 0 | 1;
}

/** The last status of a row `s` of `snapshots`, among those that a condition lets through. */
const standing = (condition: string): string => `
  coalesce((
    SELECT status FROM stages t WHERE t.vm = s.vm AND t.number = s.number ${condition}
    ORDER BY version DESC LIMIT 1), iif(created_version IS NULL, 'pending', 'complete'))`;

/** Finds snapshots by their ids, as they are now, and remembers them. */
export class KnownSnapshots {
  readonly #tables: Tables;
  readonly #heads: Heads;
  readonly #find: StatementSync;

  constructor(tables: Tables, heads: Heads) {
    this.#tables = tables;
    this.#heads = heads;
    this.#find = tables.db.prepare(`
      SELECT id, number, implicit, ${standing('')} AS status, ${standing("AND status <> 'deleting'")} AS before,
        coalesce((
          SELECT value FROM facets f WHERE f.vm = s.vm AND f.number = s.number AND f.facet = 'name'
          ORDER BY version DESC LIMIT 1), name) AS name
      FROM snapshots s WHERE vm = ? AND id = ?`);
  }

  /** Any that was ever asked for. */
  find(head: Head, id: string): Known | undefined {
    const known = head.known.get(id);
    if (known) return known;
    this.#tables.search();
    const row = one<Known>(this.#find, head.vm, id);
    if (!row) return undefined;
    const found = { ...row };
    this.remember(head, found);
    return found;
  }

  /** Only while it lives: events about others change nothing. */
  alive(head: Head, id: string): Known | undefined {
    const known = this.find(head, id);
    return known && isAlive(known.status) ? known : undefined;
  }

  remember(head: Head, known: Known): void {
    head.known.set(known.id, known);
    this.#heads.grew();
  }
}

export const isAlive = (status: SnapshotStanding): boolean => status !== 'deleted' && status !== 'failed';

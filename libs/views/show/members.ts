import type { DatabaseSync } from 'node:sqlite';
import { all, one } from '../sql.ts';
import type { Place } from './places.ts';

/** The rows of the epoch in which a list was at a version, as far as they had been written by then. */
const EPOCH = `
  FROM rolls WHERE vm = ?1 AND list = ?2
    AND epoch = (
      SELECT epoch FROM rolls WHERE vm = ?1 AND list = ?2 AND epoch <= ?3 ORDER BY epoch DESC LIMIT 1)
    AND member <= ?3 AND version <= ?3`;

const statements = (db: DatabaseSync) => ({
  after: db.prepare(`
    SELECT member, change, max(version) ${EPOCH} AND member > ?4
    GROUP BY member HAVING change <> 0 ORDER BY member LIMIT ?5`),
  // Nobody is added who is on the list, nobody struck off who is not.
  count: db.prepare(`SELECT total(iif(change = 0, -1, 1)) AS count ${EPOCH}`),
});

/** Who was on a roll at any version (see write/rolls.ts). */
export class Members {
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: DatabaseSync) {
    this.#sql = statements(db);
  }

  /** The first `limit` of them with a number above `after`, in the order of their numbers. */
  after({ vm, version }: Place, list: number, after: number, limit: number): readonly number[] {
    const found = all<{ member: number }>(this.#sql.after, vm, list, version, after, limit);
    return found.map(({ member }) => member);
  }

  count({ vm, version }: Place, list: number): number {
    return one<{ count: number }>(this.#sql.count, vm, list, version)?.count ?? 0;
  }
}

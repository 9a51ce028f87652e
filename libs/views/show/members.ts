import type { DatabaseSync } from 'node:sqlite';
import { all, one } from '../sql.ts';
import type { Place } from './places.ts';

const AT = `
  FROM rolls WHERE vm = ?1 AND list = ?2
    AND epoch = (
      SELECT epoch FROM rolls WHERE vm = ?1 AND list = ?2 AND epoch <= ?3 ORDER BY epoch DESC LIMIT 1)
    AND member > ?4 AND member <= ?3 AND version <= ?3
  GROUP BY member HAVING change <> 0`;

const statements = (db: DatabaseSync) => ({
  after: db.prepare(`SELECT member, change, max(version) ${AT} ORDER BY member LIMIT ?5`),
  count: db.prepare(`SELECT count(*) AS count FROM (SELECT change, max(version) ${AT})`),
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
    return one<{ count: number }>(this.#sql.count, vm, list, version, 0)?.count ?? 0;
  }
}

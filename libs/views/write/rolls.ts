import type { StatementSync } from 'node:sqlite';
import type { Head, Heads } from './heads.ts';
import { emptyRoll, NOBODY_YET, type Roll } from './roll.ts';
import { all } from '../sql.ts';
import type { Rows, Tables, ViewTables } from './tables.ts';

/** Rows that a look may find to be no members before a list is copied, whatever its length. */
const MISSES_MIN = 512;

/** A list is copied when the rows that may be misses are one in this many of its members. */
const MISSES_SHARE = 4;

/**
 * A roll is a list of snapshot numbers that remembers what it was at every version: the children of one
 * snapshot, the roots, those that are in use. Reading a page of it must cost a page, whatever has happened to
 * it before and since: not so when it looks at each of the 100,000 that are no longer on it.
 *
 * So a list is cut into epochs. An epoch begins with a copy of the members as of its version and goes on until
 * too many in it may be no members at the version somebody looks at: those that were struck off, and those that
 * were added late, that is before the last. (Members added at the end are no misses: nobody looks beyond the
 * version asked for, and numbers are versions.) Each change costs a bounded number of copied rows.
 */
export const ROLLS: ViewTables = {
  name: 'rolls',
  version: 1,
  tables: `
    CREATE TABLE rolls (
      vm INTEGER NOT NULL, list INTEGER NOT NULL, epoch INTEGER NOT NULL, member INTEGER NOT NULL,
      version INTEGER NOT NULL, change INTEGER NOT NULL
    ) STRICT`,
  indexes: ['CREATE UNIQUE INDEX rolls_key ON rolls (vm, list, epoch, member, version, change)'],
};

/** What a row of `rolls` says of its member from its version on. */
const STRUCK = 0;
const ADDED = 1;
const ADDED_LATE = 2;

/** Which VM, at which version. */
export interface RollAt {
  readonly head: Head;
  readonly version: number;
}

interface ChangeRow {
  readonly epoch: number;
  readonly member: number;
  readonly change: number;
}

/** Keeps the rolls. */
export class Rolls {
  readonly #tables: Tables;
  readonly #heads: Heads;
  readonly #rows: Rows;
  readonly #read: StatementSync;

  constructor(tables: Tables, heads: Heads) {
    this.#tables = tables;
    this.#heads = heads;
    this.#rows = tables.rows('rolls', 6);
    this.#read = tables.db.prepare(`
      SELECT epoch, member, change FROM rolls WHERE vm = ?1 AND list = ?2
        AND epoch = (SELECT epoch FROM rolls WHERE vm = ?1 AND list = ?2 ORDER BY epoch DESC LIMIT 1)
      ORDER BY member, version`);
  }

  /** Puts a snapshot on a list that it is not on. */
  add(at: RollAt, list: number, member: number): void {
    const { head, version } = at;
    const roll = this.#open(at, list);
    const isLate = member < roll.last;
    this.#rows.add(head.vm, list, roll.epoch, member, version, isLate ? ADDED_LATE : ADDED);
    roll.members.add(member);
    roll.misses += isLate ? 1 : 0;
    roll.last = Math.max(roll.last, member);
    this.#heads.grew();
  }

  /** Strikes a snapshot off a list that it is on. */
  strike(at: RollAt, list: number, member: number): void {
    const { head, version } = at;
    const roll = this.#open(at, list);
    this.#rows.add(head.vm, list, roll.epoch, member, version, STRUCK);
    roll.members.delete(member);
    roll.misses += 1;
    this.#heads.grew(-1);
  }

  /** Who is on a list now, in the order of their numbers. */
  members(head: Head, list: number): readonly number[] {
    return [...this.#roll(head, list).members].sort((a, b) => a - b);
  }

  /** Spares a look into the file: nobody can be on the list of a snapshot that is only now being asked for. */
  isNew(head: Head, list: number): void {
    this.#remember(head, list, NOBODY_YET);
  }

  /**
   * The roll, ready to be changed. A new epoch begins with the list as the version before this one left it, so
   * not in the middle of what one event does to it.
   */
  #open({ head, version }: RollAt, list: number): Roll {
    const known = this.#roll(head, list);
    const roll = known === NOBODY_YET ? this.#remember(head, list, emptyRoll()) : known;
    if (isDue(roll) && roll.changedAt < version) this.#begin(roll, { head, list, epoch: version - 1 });
    roll.changedAt = version;
    return roll;
  }

  #begin(roll: Roll, { head, list, epoch }: { head: Head; list: number; epoch: number }): void {
    let last = 0;
    for (const member of roll.members) {
      this.#rows.add(head.vm, list, epoch, member, epoch, ADDED);
      last = Math.max(last, member);
    }
    Object.assign(roll, { epoch, misses: 0, last });
  }

  #roll(head: Head, list: number): Roll {
    return head.rolls.get(list) ?? this.#remember(head, list, this.#readRoll(head, list));
  }

  #readRoll(head: Head, list: number): Roll {
    this.#tables.search();
    const roll = emptyRoll();
    for (const { epoch, member, change } of all<ChangeRow>(this.#read, head.vm, list)) {
      if (change === STRUCK) roll.members.delete(member);
      else roll.members.add(member);
      roll.epoch = epoch;
      roll.misses += change === ADDED ? 0 : 1;
      roll.last = member;
    }
    return roll;
  }

  #remember(head: Head, list: number, roll: Roll): Roll {
    head.rolls.set(list, roll);
    this.#heads.grew(1 + roll.members.size);
    return roll;
  }
}

const isDue = ({ misses, members, epoch }: Roll): boolean =>
  epoch < 0 || (misses >= MISSES_MIN && misses * MISSES_SHARE >= members.size);

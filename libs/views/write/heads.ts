import type { StatementSync } from 'node:sqlite';
import type { Known } from './known.ts';
import {
  BEFORE_ALL,
  lineOf,
  type Moment,
  readMoment,
  STRIP_MOMENTS,
  stripOf,
  writeMoment,
} from '../moments.ts';
import { PINS, RETIRED, type Roll, ROOTS, NOBODY_YET, USED } from './roll.ts';
import type { SnapshotStanding } from '../shapes.ts';
import { one } from '../sql.ts';
import type { Rows, Tables, ViewTables } from './tables.ts';

/** Things that are remembered between events: some 100 bytes each, five for a snapshot that lives. */
const REMEMBERED_MAX = 1_000_000;

/**
 * `moments` says what a VM was after each of its events. It is the bridge from an instant to a version: all
 * other tables know versions only. A row holds a strip of moments, one line each.
 */
export const HEADS: ViewTables = {
  name: 'heads',
  version: 1,
  tables: `
    CREATE TABLE streams (number INTEGER PRIMARY KEY, vm_id TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE moments (vm INTEGER NOT NULL, strip INTEGER NOT NULL, lines TEXT NOT NULL) STRICT`,
  indexes: ['CREATE UNIQUE INDEX moments_key ON moments (vm, strip)'],
};

/** One VM as the views know it right now, with what they remember of it to spare them a look into the file. */
export interface Head extends Moment {
  /** The VM's number in this file, in the order of their first events. */
  readonly vm: number;
  readonly vmId: string;
  /** Of the stream; 0 before its first event. */
  version: number;
  recordedAt: string;
  current: number;
  confidence: Moment['confidence'];
  operation: number;
  readonly counts: Record<SnapshotStanding, number>;
  /** Entries in its history, and operations; null: to be looked up. */
  entries: number | null;
  operations: number | null;
  /** Ids of the snapshots that are being deleted; null: to be looked up. */
  deleting: readonly string[] | null;
  readonly known: Map<string, Known>;
  /** The parents of snapshots, both by number. */
  readonly parents: Map<number, number>;
  readonly rolls: Map<number, Roll>;
  /** The strip that the last moment stands in. */
  lines: string[];
}

/** The heads of all VMs that were touched lately; the others stand in the file. */
export class Heads {
  readonly #tables: Tables;
  readonly #moments: Rows;
  readonly #find: StatementSync;
  readonly #add: StatementSync;
  readonly #last: StatementSync;
  readonly #heads = new Map<string, Head>();
  readonly #unwritten = new Set<Head>();
  #remembered = 0;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#moments = tables.rows('moments', 3);
    this.#find = tables.db.prepare('SELECT number FROM streams WHERE vm_id = ?');
    this.#add = tables.db.prepare('INSERT INTO streams (vm_id) VALUES (?)');
    this.#last = tables.db.prepare(
      'SELECT strip, lines FROM moments WHERE vm = ? ORDER BY strip DESC LIMIT 1',
    );
  }

  /** The VM of that id; a new one when nothing was recorded of it. */
  of(vmId: string): Head {
    const head = this.#heads.get(vmId);
    if (head) return head;
    const number = one<{ number: number }>(this.#find, vmId)?.number;
    const found = number === undefined ? this.#begin(vmId) : this.#read(number, vmId);
    this.#heads.set(vmId, found);
    this.grew();
    return found;
  }

  /** Takes down what a VM has become. To be called after each event, when all views have seen it. */
  record(head: Head): void {
    if (lineOf(head.version) === 0) head.lines = [];
    head.lines.push(writeMoment(head));
    this.#unwritten.add(head);
    if (head.lines.length === STRIP_MOMENTS) this.#takeDown(head);
  }

  /** To be called when a head has begun to remember more, or less. */
  grew(by = 1): void {
    this.#remembered += by;
  }

  settle(): void {
    for (const head of this.#unwritten) this.#takeDown(head);
  }

  isFull(): boolean {
    return this.#remembered > REMEMBERED_MAX;
  }

  /** To be called when all is written, and only then: it is found again in microseconds. */
  forget(): void {
    this.#heads.clear();
    this.#remembered = 0;
  }

  #takeDown(head: Head): void {
    this.#moments.add(head.vm, stripOf(head.version), head.lines.join('\n'));
    this.#unwritten.delete(head);
  }

  #begin(vmId: string): Head {
    const vm = Number(this.#add.run(vmId).lastInsertRowid);
    const rolls = new Map([ROOTS, USED, RETIRED, PINS].map((list) => [list, NOBODY_YET]));
    return { ...headOf(vm, vmId, BEFORE_ALL), entries: 0, operations: 0, deleting: [], rolls };
  }

  #read(vm: number, vmId: string): Head {
    this.#tables.search();
    const strip = one<{ strip: number; lines: string }>(this.#last, vm);
    if (!strip) return headOf(vm, vmId, BEFORE_ALL);
    const lines = strip.lines.split('\n');
    const head = headOf(vm, vmId, readMoment(lines.at(-1) ?? ''));
    return { ...head, lines, version: strip.strip * STRIP_MOMENTS + lines.length };
  }
}

const headOf = (vm: number, vmId: string, moment: Moment): Head => ({
  vm,
  vmId,
  version: 0,
  ...moment,
  counts: { ...moment.counts },
  entries: null,
  operations: null,
  deleting: null,
  known: new Map(),
  parents: new Map(),
  rolls: new Map(),
  lines: [],
});

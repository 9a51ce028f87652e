import type { StatementSync } from 'node:sqlite';
import type { DataOf, LayerChange } from '#ledger';
import type { Head, Heads } from './heads.ts';
import { type Known, KnownSnapshots } from './known.ts';
import { NONE } from '../moments.ts';
import { ROOTS } from './roll.ts';
import { Rolls } from './rolls.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import { one } from '../sql.ts';
import { Standings } from './standings.ts';
import type { Rows, Tables, ViewTables } from './tables.ts';
import { type Handlers, type Happening, ignore, type View } from './view.ts';

/**
 * Which snapshot came from which, and what is said of each.
 *
 * A snapshot's number is the version of its request: unique in its VM, and in the order in which snapshots were
 * asked for. `snapshots` says what was asked for and what was captured; the other tables hold what has changed
 * since, each row from its version on until the next. (`names` says who bears a name; null: nobody any more.)
 * Structure (`rolls`, `parents`) stands apart from what is said (`facets`, among them which file holds what a
 * snapshot keeps of a disk) and from where a snapshot stands (`stages`), so a rename touches no tree.
 */
export const LINEAGE: ViewTables = {
  name: 'lineage',
  version: 2,
  tables: `
    CREATE TABLE snapshots (
      vm INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, requested_at TEXT NOT NULL,
      parent INTEGER NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, labels TEXT NOT NULL,
      disks TEXT NOT NULL, wanted_memory TEXT NOT NULL, implicit INTEGER NOT NULL,
      created_version INTEGER, vm_state TEXT, consistency TEXT, memory TEXT, files TEXT
    ) STRICT;
    CREATE TABLE stages (
      vm INTEGER NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL
    ) STRICT;
    CREATE TABLE parents (
      vm INTEGER NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, parent INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE facets (
      vm INTEGER NOT NULL, number INTEGER NOT NULL, facet TEXT NOT NULL, version INTEGER NOT NULL,
      value TEXT NOT NULL
    ) STRICT;
    CREATE TABLE names (
      vm INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, number INTEGER
    ) STRICT`,
  indexes: [
    'CREATE UNIQUE INDEX snapshots_key ON snapshots (vm, number)',
    'CREATE UNIQUE INDEX snapshots_by_id ON snapshots (vm, id)',
    'CREATE UNIQUE INDEX stages_key ON stages (vm, number, version, status)',
    'CREATE UNIQUE INDEX parents_key ON parents (vm, number, version, parent)',
    'CREATE UNIQUE INDEX facets_key ON facets (vm, number, facet, version)',
    'CREATE UNIQUE INDEX names_key ON names (vm, name, version, number)',
    "CREATE INDEX stages_ended ON stages (vm, status, number, version) WHERE status IN ('deleted', 'failed')",
  ],
};

type Facet = 'name' | 'description' | 'labels' | 'protected' | `file:${string}`;

export class Lineage implements View {
  readonly known: KnownSnapshots;
  readonly #tables: Tables;
  readonly #heads: Heads;
  readonly #rolls: Rolls;
  readonly #standings: Standings;
  readonly #snapshots: SnapshotRows;
  readonly #facets: Rows;
  readonly #parents: Rows;
  readonly #parentOf: StatementSync;

  constructor(tables: Tables, heads: Heads) {
    this.known = new KnownSnapshots(tables, heads);
    this.#tables = tables;
    this.#heads = heads;
    this.#rolls = new Rolls(tables, heads);
    this.#standings = new Standings(tables, this.#rolls);
    this.#snapshots = new SnapshotRows(tables);
    this.#facets = tables.rows('facets', 5);
    this.#parents = tables.rows('parents', 4);
    this.#parentOf = tables.db.prepare(`
      SELECT coalesce(
        (SELECT parent FROM parents WHERE vm = ?1 AND number = ?2 ORDER BY version DESC LIMIT 1),
        (SELECT parent FROM snapshots WHERE vm = ?1 AND number = ?2)) AS parent`);
  }

  readonly on: Handlers = {
    VmRegistered: ({ foreignTags }, { head }) => {
      head.confidence = foreignTags.length === 0 ? 'known' : 'assumed';
    },
    VmChanged: ignore,
    DisksChanged: ignore,
    VmForgotten: ignore,
    SnapshotRequested: (data, at) => this.#requested(data, at),
    LoadRequested: ignore,
    DeleteRequested: ({ targets }, at) => this.#toBeDeleted(targets, at),
    OperationStarted: ignore,
    SnapshotPinned: (data, at) => this.#pinned(data, at),
    ContentLoaded: ({ layers }, at) => this.#moved(layers, at),
    SnapshotCreated: (data, at) => this.#created(data, at),
    CreateFailed: (data, at) => this.#failed(data, at),
    SnapshotLoaded: ({ snapshotId, layers }, at) => {
      this.#moved(layers, at);
      this.#loaded(snapshotId, 'known', at);
    },
    LoadFailed: ({ snapshotId, outcome, layers }, at) => {
      this.#moved(layers, at);
      if (outcome === 'held') this.#loaded(snapshotId, 'unknown', at);
    },
    SnapshotDeleted: ({ snapshotId, layers }, at) => {
      this.#moved(layers, at);
      if (snapshotId !== null) this.#remove(snapshotId, at);
    },
    DeleteFailed: ({ outcome, layers }, at) => {
      this.#moved(layers, at);
      this.#notDeleted(outcome === 'held', at);
    },
    SnapshotDiscarded: ({ snapshotId }, at) => this.#remove(snapshotId, at),
    SnapshotRenamed: ({ snapshotId, name }, at) => {
      this.#renamed(snapshotId, name, at);
    },
    SnapshotDescribed: ({ snapshotId, description }, at) => {
      this.#said(snapshotId, 'description', description, at);
    },
    SnapshotLabelled: ({ snapshotId, labels }, at) => {
      this.#said(snapshotId, 'labels', JSON.stringify(labels), at);
    },
    SnapshotProtected: ({ snapshotId }, at) => {
      this.#said(snapshotId, 'protected', 'true', at);
    },
    SnapshotUnprotected: ({ snapshotId }, at) => {
      this.#said(snapshotId, 'protected', 'false', at);
    },
    SnapshotRetired: ({ snapshotId }, at) => {
      const known = this.known.alive(at.head, snapshotId);
      if (known) this.#standings.move(at, known, 'retired');
    },
    SnapshotUnretired: ({ snapshotId }, at) => {
      const known = this.known.alive(at.head, snapshotId);
      if (known) this.#standings.move(at, known, 'complete');
    },
    LeftoverRemoved: ignore,
    HoldReleased: ignore,
    DriftFound: ({ standings }, at) => {
      for (const { snapshotId, status } of standings) {
        const known = this.known.alive(at.head, snapshotId);
        if (known) this.#standings.move(at, known, status);
      }
    },
    RepairStarted: ignore,
    SnapshotAdopted: (data, at) => this.#adopted(data, at),
  };

  settle(): void {
    this.#snapshots.settle();
  }

  #requested(data: DataOf<'SnapshotRequested'>, at: Happening): void {
    const { head, version: number, recordedAt } = at;
    const { snapshotId: id, name } = data;
    const known: Known = { id, number, status: 'pending', before: 'pending', name, implicit: 0 };
    const parent = this.#begin(known, data.parentId, at);
    this.#snapshots.asked({ vm: head.vm, known, parent, recordedAt, data });
  }

  /** Nobody has asked for it: it is there at once. */
  #pinned(data: DataOf<'SnapshotPinned'>, at: Happening): void {
    const { head, version: number, recordedAt } = at;
    const { snapshotId: id, name, disks, memory, parentId, layers } = data;
    const known: Known = { id, number, status: 'complete', before: 'complete', name, implicit: 1 };
    const parent = this.#begin(known, parentId, at);
    const said = { name, description: '', labels: {}, memory: memory.mode, disks };
    this.#snapshots.asked({ vm: head.vm, known, parent, recordedAt, data: said });
    this.#snapshots.captured(head.vm, known, { ...data, version: number });
    this.#moved(layers, at);
  }

  /** It was there before anybody asked. What the machine stands on may be it, when that is nothing we know. */
  #adopted(data: DataOf<'SnapshotAdopted'>, at: Happening): void {
    const { head, version: number, recordedAt } = at;
    const { snapshotId: id, name, disks, memory, parentId } = data;
    const known: Known = { id, number, status: 'pending', before: 'pending', name, implicit: 0 };
    const parent = this.#begin(known, parentId, at);
    const said = { name, description: '', labels: {}, memory: memory.mode, disks };
    this.#snapshots.asked({ vm: head.vm, known, parent, recordedAt, data: said });
    this.#snapshots.captured(head.vm, known, { ...data, version: number });
    this.#standings.created(at, known);
    if (head.current === NONE) head.confidence = 'assumed';
  }

  /** The number of its parent. */
  #begin(known: Known, parentId: string | null, at: Happening): number {
    const { head } = at;
    const { number } = known;
    const parent = (parentId !== null && this.known.alive(head, parentId)?.number) || ROOTS;
    this.known.remember(head, known);
    this.#standings.begin(at, known);
    this.#setParent(head, number, parent);
    this.#rolls.add(at, parent, number);
    this.#rolls.isNew(head, number);
    return parent;
  }

  #created(data: DataOf<'SnapshotCreated'>, at: Happening): void {
    const known = this.known.alive(at.head, data.snapshotId);
    if (!known) return this.#moved(data.layers, at);
    this.#snapshots.captured(at.head.vm, known, { ...data, version: at.version });
    this.#standings.created(at, known);
    this.#moved(data.layers, at);
    this.#loaded(data.snapshotId, 'known', at);
  }

  /** Another file holds what a snapshot keeps of a disk. */
  #moved(layers: LayerChange | undefined, at: Happening): void {
    for (const { snapshotId, device, file } of layers?.contents ?? []) {
      this.#said(snapshotId, `file:${device}`, file, at);
    }
  }

  #loaded(id: string, confidence: 'known' | 'unknown', { head }: Happening): void {
    head.current = this.known.alive(head, id)?.number ?? NONE;
    head.confidence = confidence;
  }

  #failed({ snapshotId, outcome, layers }: DataOf<'CreateFailed'>, at: Happening): void {
    this.#moved(layers, at);
    const known = this.known.alive(at.head, snapshotId);
    if (!known) return;
    this.#rolls.strike(at, this.#parent(at.head, known.number), known.number);
    this.#standings.move(at, known, 'failed');
    if (outcome === 'undone') this.#forget(at.head, known);
  }

  #toBeDeleted(targets: readonly string[], at: Happening): void {
    for (const id of targets) {
      const known = this.known.alive(at.head, id);
      if (known) this.#standings.move(at, known, 'deleting');
    }
    at.head.deleting = targets;
  }

  /** Undone: each stands where it stood. Held: some disks have lost it and some have not. */
  #notDeleted(isHeld: boolean, at: Happening): void {
    for (const id of this.#standings.deleting(at)) {
      const known = this.known.alive(at.head, id);
      if (known) this.#standings.move(at, known, isHeld ? 'suspect' : known.before);
    }
    at.head.deleting = [];
  }

  /** Children of what is gone descend from its parent, and so does the present. */
  #remove(id: string, at: Happening): void {
    const { head, version } = at;
    const known = this.known.alive(head, id);
    if (!known) return;
    const { number } = known;
    const parent = this.#parent(head, number);
    this.#rolls.strike(at, parent, number);
    for (const child of this.#rolls.members(head, number)) {
      this.#rolls.strike(at, number, child);
      this.#rolls.add(at, parent, child);
      this.#parents.add(head.vm, child, version, parent);
      this.#setParent(head, child, parent);
    }
    if (head.current === number) head.current = parent;
    this.#standings.move(at, known, 'deleted');
    this.#forget(head, known);
  }

  #parent(head: Head, number: number): number {
    const known = head.parents.get(number);
    if (known !== undefined) return known;
    this.#tables.search();
    return one<{ parent: number }>(this.#parentOf, head.vm, number)?.parent ?? ROOTS;
  }

  /** Nothing more is told of those that are gone, so they are soon to be forgotten. */
  #forget(head: Head, { id, number }: Known): void {
    head.known.delete(id);
    head.parents.delete(number);
    head.rolls.delete(number);
    this.#heads.grew(-3);
  }

  #setParent(head: Head, number: number, parent: number): void {
    head.parents.set(number, parent);
    this.#heads.grew();
  }

  #renamed(id: string, name: string, at: Happening): void {
    const known = this.#said(id, 'name', name, at);
    if (known) this.#standings.rename(at, known, name);
  }

  /** The snapshot of which something new is said; nothing is said of those that are gone. */
  #said(id: string, facet: Facet, value: string, { head, version }: Happening): Known | undefined {
    const known = this.known.alive(head, id);
    if (known) this.#facets.add(head.vm, known.number, facet, version, value);
    return known;
  }
}

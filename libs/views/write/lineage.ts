import type { StatementSync } from 'node:sqlite';
import type { DataOf } from '#ledger';
import type { Head, Heads } from './heads.ts';
import { type Known, KnownSnapshots } from './known.ts';
import { NONE } from '../moments.ts';
import { ROOTS } from './roll.ts';
import { Rolls } from './rolls.ts';
import { one } from '../sql.ts';
import { Standings } from './standings.ts';
import type { Rows, Tables, ViewTables } from './tables.ts';
import { type Handlers, type Happening, ignore, type View } from './view.ts';

/**
 * Which snapshot came from which, and what is said of each.
 *
 * A snapshot's number is the version of its request: unique in its VM, and in the order in which snapshots were
 * asked for. `snapshots` says what was asked for and what was captured; the other tables hold what has changed
 * since, each row from its version on until the next. (`names` says who bears a name; null: nobody any more.) Structure (`rolls`, `parents`) stands
 * apart from what is said (`facets`) and from where a snapshot stands (`stages`), so a rename touches no tree.
 */
export const LINEAGE: ViewTables = {
  name: 'lineage',
  version: 1,
  tables: `
    CREATE TABLE snapshots (
      vm INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, requested_at TEXT NOT NULL,
      parent INTEGER NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, labels TEXT NOT NULL,
      disks TEXT NOT NULL, wanted_memory TEXT NOT NULL,
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

type Facet = 'name' | 'description' | 'labels' | 'protected';

/** A snapshot that was asked for. */
interface Asked {
  readonly vm: number;
  readonly known: Known;
  readonly parent: number;
  readonly recordedAt: string;
  readonly data: DataOf<'SnapshotRequested'>;
}

/** created_version, vm_state, consistency, memory, files. */
type Capture = readonly [number, string, string, string, string];
const NOT_YET = [null, null, null, null, null] as const;

export class Lineage implements View {
  readonly known: KnownSnapshots;
  readonly #tables: Tables;
  readonly #heads: Heads;
  readonly #rolls: Rolls;
  readonly #standings: Standings;
  readonly #snapshots: Rows;
  readonly #facets: Rows;
  readonly #parents: Rows;
  readonly #capture: StatementSync;
  readonly #parentOf: StatementSync;
  /** Those asked for since the last commit: most are captured before the next, and one row says it all. */
  readonly #unwritten = new Map<string, Asked>();

  constructor(tables: Tables, heads: Heads) {
    this.known = new KnownSnapshots(tables, heads);
    this.#tables = tables;
    this.#heads = heads;
    this.#rolls = new Rolls(tables, heads);
    this.#standings = new Standings(tables, this.#rolls);
    this.#snapshots = tables.rows('snapshots', 15);
    this.#facets = tables.rows('facets', 5);
    this.#parents = tables.rows('parents', 4);
    this.#capture = tables.db.prepare(`
      UPDATE snapshots SET created_version = ?, vm_state = ?, consistency = ?, memory = ?, files = ?
      WHERE vm = ? AND number = ?`);
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
    SnapshotCreated: (data, at) => this.#created(data, at),
    CreateFailed: (data, at) => this.#failed(data, at),
    SnapshotLoaded: ({ snapshotId }, at) => this.#loaded(snapshotId, 'known', at),
    LoadFailed: ({ snapshotId, outcome }, at) => {
      if (outcome === 'held') this.#loaded(snapshotId, 'unknown', at);
    },
    SnapshotDeleted: ({ snapshotId }, at) => {
      if (snapshotId !== null) this.#remove(snapshotId, at);
    },
    DeleteFailed: ({ outcome }, at) => this.#notDeleted(outcome === 'held', at),
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
  };

  settle(): void {
    for (const asked of this.#unwritten.values()) this.#takeDown(asked, NOT_YET);
    this.#unwritten.clear();
  }

  #requested(data: DataOf<'SnapshotRequested'>, at: Happening): void {
    const { head, version: number, recordedAt } = at;
    const { snapshotId: id, parentId, name } = data;
    const parent = (parentId !== null && this.known.alive(head, parentId)?.number) || ROOTS;
    const known: Known = { id, number, status: 'pending', before: 'pending', name };
    this.#unwritten.set(id, { vm: head.vm, known, parent, recordedAt, data });
    this.known.remember(head, known);
    this.#standings.begin(at, known);
    this.#setParent(head, number, parent);
    this.#rolls.add(at, parent, number);
    this.#rolls.isNew(head, number);
  }

  #created(data: DataOf<'SnapshotCreated'>, at: Happening): void {
    const known = this.known.alive(at.head, data.snapshotId);
    if (!known) return;
    const { vmState, consistency, memory, evidence } = data;
    const files = JSON.stringify(evidence.map(({ device, file }) => ({ device, file })));
    const capture: Capture = [at.version, vmState, consistency, JSON.stringify(memory), files];
    const asked = this.#unwritten.get(known.id);
    if (asked) this.#takeDown(asked, capture);
    else this.#addCapture(capture, at.head, known);
    this.#unwritten.delete(known.id);
    this.#standings.created(at, known);
    this.#loaded(data.snapshotId, 'known', at);
  }

  #addCapture(capture: Capture, { vm }: Head, { number }: Known): void {
    this.#tables.search();
    this.#capture.run(...capture, vm, number);
  }

  #takeDown({ vm, known, parent, recordedAt, data }: Asked, capture: Capture | typeof NOT_YET): void {
    const { name, description, memory = 'none' } = data;
    const [labels, disks] = [JSON.stringify(data.labels), JSON.stringify(data.disks)];
    const asked = [recordedAt, parent, name, description, labels, disks, memory];
    this.#snapshots.add(vm, known.number, known.id, ...asked, ...capture);
  }

  #loaded(id: string, confidence: 'known' | 'unknown', { head }: Happening): void {
    head.current = this.known.alive(head, id)?.number ?? NONE;
    head.confidence = confidence;
  }

  #failed({ snapshotId, outcome }: DataOf<'CreateFailed'>, at: Happening): void {
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

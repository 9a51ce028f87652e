import type { StatementSync } from 'node:sqlite';
import type { DataOf } from '#ledger';
import type { Head } from './heads.ts';
import type { KnownSnapshots } from './known.ts';
import type { Operations } from './operations.ts';
import type { HistoryAction, OperationOutcome } from '../shapes.ts';
import { one } from '../sql.ts';
import type { Rows, Tables, ViewTables } from './tables.ts';
import { type Handlers, type Happening, ignore, type View } from './view.ts';

/** What was done to a VM and its snapshots, by whom, and how it ended. Kept when the VM is forgotten. */
export const HISTORY: ViewTables = {
  name: 'history',
  version: 2,
  tables: `
    CREATE TABLE history (
      vm INTEGER NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, recorded_at TEXT NOT NULL,
      actor TEXT NOT NULL, action TEXT NOT NULL, snapshot_id TEXT, name TEXT, operation_id TEXT,
      outcome TEXT NOT NULL, reason TEXT
    ) STRICT`,
  indexes: ['CREATE UNIQUE INDEX history_key ON history (vm, number)'],
};

/** What others say of an operation and of a snapshot when an event only names them. */
export interface HistorySources {
  readonly known: KnownSnapshots;
  readonly operations: Operations;
}

interface Ended {
  readonly operationId: string;
  readonly snapshotId: string | null;
}

/** What is left out is as in most entries: said by the event, about the snapshot's present name, successful. */
interface Entry {
  readonly action: HistoryAction;
  readonly snapshotId?: string | null;
  readonly operationId?: string;
  readonly actor?: string | undefined;
  readonly name?: string;
  readonly outcome?: OperationOutcome;
  readonly reason?: string;
}

/** Comes before the views that it asks, which must still know what an event is about to end. */
export class History implements View {
  readonly #tables: Tables;
  readonly #rows: Rows;
  readonly #last: StatementSync;
  readonly #sources: HistorySources;

  constructor(tables: Tables, sources: HistorySources) {
    this.#tables = tables;
    this.#rows = tables.rows('history', 11);
    this.#last = tables.db.prepare('SELECT max(number) AS number FROM history WHERE vm = ?');
    this.#sources = sources;
  }

  readonly on: Handlers = {
    VmRegistered: (_data, at) => this.#enter({ action: 'registered' }, at),
    VmChanged: (_data, at) => this.#enter({ action: 'changed' }, at),
    DisksChanged: (_data, at) => this.#enter({ action: 'disks-changed' }, at),
    VmForgotten: (_data, at) => this.#enter({ action: 'forgotten' }, at),
    SnapshotRequested: ignore, // An entry says how something ended.
    LoadRequested: ignore,
    DeleteRequested: ignore,
    OperationStarted: ignore,
    SnapshotPinned: ({ operationId, snapshotId, name }, at) => {
      const actor = this.#askerOf(operationId);
      this.#enter({ action: 'pinned', snapshotId, name, operationId, actor }, at);
    },
    ContentLoaded: ignore,
    SnapshotCreated: (data, at) => this.#ended('created', data, at),
    CreateFailed: (data, at) => this.#failed('create-failed', data, at),
    SnapshotLoaded: (data, at) => this.#ended('loaded', data, at),
    LoadFailed: (data, at) => this.#failed('load-failed', data, at),
    SnapshotDeleted: (data, at) => this.#ended('deleted', data, at),
    DeleteFailed: (data, at) => this.#failed('delete-failed', data, at),
    SnapshotDiscarded: (data, at) => this.#ended('discarded', data, at),
    SnapshotRenamed: ({ snapshotId, name }, at) => this.#enter({ action: 'renamed', snapshotId, name }, at),
    SnapshotDescribed: ({ snapshotId }, at) => this.#enter({ action: 'described', snapshotId }, at),
    SnapshotLabelled: ({ snapshotId }, at) => this.#enter({ action: 'labelled', snapshotId }, at),
    SnapshotProtected: ({ snapshotId }, at) => this.#enter({ action: 'protected', snapshotId }, at),
    SnapshotUnprotected: ({ snapshotId }, at) => this.#enter({ action: 'unprotected', snapshotId }, at),
    SnapshotRetired: ({ snapshotId }, at) =>
      this.#enter({ action: 'retired', snapshotId, operationId: at.correlationId }, at),
    SnapshotUnretired: ({ snapshotId }, at) =>
      this.#enter({ action: 'unretired', snapshotId, operationId: at.correlationId }, at),
    LeftoverRemoved: ({ snapshotId }, at) => this.#enter({ action: 'leftover-removed', snapshotId }, at),
    HoldReleased: (_data, at) => this.#enter({ action: 'hold-released' }, at),
    DriftFound: ({ findings }, at) => {
      const reason = [...new Set(findings.map(({ kind }) => kind))].join(', ');
      this.#enter(reason === '' ? { action: 'drift-gone' } : { action: 'drift-found', reason }, at);
    },
    RepairStarted: (_data, at) => this.#enter({ action: 'repair-started' }, at),
    SnapshotAdopted: ({ snapshotId, name }, at) => this.#enter({ action: 'adopted', snapshotId, name }, at),
  };

  settle(): void {
    // What has happened does not change any more.
  }

  #ended(action: HistoryAction, { operationId, snapshotId }: Ended, at: Happening): void {
    this.#enter({ action, snapshotId, operationId, actor: this.#askerOf(operationId) }, at);
  }

  #failed(action: HistoryAction, data: DataOf<'CreateFailed' | 'DeleteFailed'>, at: Happening): void {
    const { operationId, snapshotId, reason } = data;
    const outcome = data.outcome === 'held' ? 'needs-operator' : 'failed';
    this.#enter({ action, snapshotId, operationId, actor: this.#askerOf(operationId), outcome, reason }, at);
  }

  /** The worker records how an operation ended; who asked for it stands in the operation. */
  #askerOf(operationId: string): string | undefined {
    return this.#sources.operations.find(operationId)?.actor;
  }

  #enter(entry: Entry, at: Happening): void {
    const { head, version, recordedAt } = at;
    const { action, snapshotId = null, operationId = null, outcome = 'succeeded', reason = null } = entry;
    const { actor = at.actor, name = this.#nameOf(snapshotId, at) } = entry;
    const number = (head.entries ?? this.#entries(head)) + 1;
    const said = [snapshotId, name, operationId, outcome, reason];
    this.#rows.add(head.vm, number, version, recordedAt, actor, action, ...said);
    head.entries = number;
  }

  #nameOf(snapshotId: string | null, { head }: Happening): string | null {
    return snapshotId === null ? null : (this.#sources.known.find(head, snapshotId)?.name ?? null);
  }

  #entries({ vm }: Head): number {
    this.#tables.search();
    return one<{ number: number | null }>(this.#last, vm)?.number ?? 0;
  }
}

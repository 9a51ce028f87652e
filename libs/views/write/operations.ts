import type { DatabaseSync } from 'node:sqlite';
import { type DataOf, isSameLeftover, type Leftover, type Step } from '#ledger';
import type { Head } from './heads.ts';
import { NONE } from '../moments.ts';
import type { OperationKind, OperationOutcome, OperationView } from '../shapes.ts';
import { all, one } from '../sql.ts';
import type { Rows, Tables, ViewTables } from './tables.ts';
import { type Handlers, type Happening, ignore, type View } from './view.ts';

/**
 * What was asked for and how it went, as it is now. Numbered in the order of the log, and again within each VM.
 * An id that a caller has used twice means the operation that came first.
 */
export const OPERATIONS: ViewTables = {
  name: 'operations',
  version: 2,
  tables: `
    CREATE TABLE operations (
      number INTEGER PRIMARY KEY, vm INTEGER NOT NULL, vm_number INTEGER NOT NULL, id TEXT NOT NULL,
      kind TEXT NOT NULL, snapshot_id TEXT, actor TEXT NOT NULL, version INTEGER NOT NULL, phase TEXT NOT NULL,
      outcome TEXT, reason TEXT, message TEXT, steps TEXT NOT NULL, leftovers TEXT NOT NULL
    ) STRICT;
    CREATE INDEX operations_open ON operations (vm, number) WHERE outcome IS NULL;
    CREATE INDEX operations_leaving ON operations (vm, number) WHERE leftovers <> '[]'`,
  indexes: [
    'CREATE INDEX operations_by_id ON operations (id, number)',
    'CREATE UNIQUE INDEX operations_by_vm ON operations (vm, vm_number)',
  ],
};

/** Said of an operation that has succeeded. */
const STUCK = 'the machine stands still: QEMU would not let it run on';

/** A row of `operations`. */
export interface OperationRow {
  readonly number: number;
  readonly vm: number;
  readonly vm_number: number;
  readonly id: string;
  readonly kind: OperationKind;
  readonly snapshot_id: string | null;
  readonly actor: string;
  /** Of the VM's stream, when the operation last changed. */
  version: number;
  phase: OperationView['phase'];
  outcome: OperationOutcome | null;
  reason: string | null;
  message: string | null;
  steps: string;
  leftovers: string;
}

const statements = (db: DatabaseSync) => ({
  last: db.prepare('SELECT max(number) AS number FROM operations'),
  lastOfVm: db.prepare('SELECT max(vm_number) AS number FROM operations WHERE vm = ?'),
  find: db.prepare('SELECT * FROM operations WHERE id = ? ORDER BY number LIMIT 1'),
  leaving: db.prepare("SELECT * FROM operations WHERE vm = ? AND leftovers <> '[]' ORDER BY number"),
});

interface Begun {
  readonly operationId: string;
  readonly snapshotId: string | null;
}

interface Ended {
  readonly operationId: string;
  readonly steps: readonly Step[];
}

type Change = Partial<Omit<OperationRow, 'number' | 'vm' | 'id'>>;

export class Operations implements View {
  readonly #tables: Tables;
  readonly #rows: Rows;
  readonly #sql: ReturnType<typeof statements>;
  /** Those that have not ended and have changed since the last commit. */
  readonly #unwritten = new Map<string, OperationRow>();
  #last: number;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#rows = tables.rows('operations', 14);
    this.#sql = statements(tables.db);
    this.#last = one<{ number: number | null }>(this.#sql.last)?.number ?? NONE;
  }

  readonly on: Handlers = {
    VmRegistered: ignore,
    VmChanged: ignore,
    DisksChanged: ignore,
    VmForgotten: ignore,
    SnapshotRequested: (data, at) => this.#begun('create', data, at),
    LoadRequested: (data, at) => this.#begun('load', data, at),
    DeleteRequested: (data, at) => this.#begun('delete', data, at),
    OperationStarted: ({ operationId }, { version }) => {
      const row = this.find(operationId);
      if (row) this.#unwritten.set(row.id, { ...row, phase: 'working', version });
    },
    SnapshotPinned: ({ operationId }, at) => this.#came(operationId, 'pin', at),
    ContentLoaded: ({ operationId }, at) => this.#came(operationId, 'content', at),
    SnapshotCreated: (data, at) => this.#succeeded(data, at, data.runs === false),
    CreateFailed: (data, at) => this.#failed(data, at),
    SnapshotLoaded: (data, at) => this.#succeeded(data, at),
    LoadFailed: (data, at) => this.#failed(data, at),
    SnapshotDeleted: (data, at) => this.#succeeded(data, at, data.runs === false),
    DeleteFailed: (data, at) => this.#failed(data, at),
    SnapshotDiscarded: ignore,
    SnapshotRenamed: ignore,
    SnapshotDescribed: ignore,
    SnapshotLabelled: ignore,
    SnapshotProtected: ignore,
    SnapshotUnprotected: ignore,
    SnapshotRetired: (data, at) => this.#doneAtOnce('retire', data.snapshotId, at),
    SnapshotUnretired: (data, at) => this.#doneAtOnce('unretire', data.snapshotId, at),
    LeftoverRemoved: (data, at) => this.#leave(at, (left) => !isSameLeftover(left, data)),
    HoldReleased: (_data, at) => this.#leave(at, () => false),
    DriftFound: ignore,
    RepairStarted: ignore,
    SnapshotAdopted: ignore,
  };

  settle(): void {
    for (const row of this.#unwritten.values()) this.#write(row);
    this.#unwritten.clear();
  }

  find(id: string): OperationRow | undefined {
    const unwritten = this.#unwritten.get(id);
    if (unwritten) return unwritten;
    this.#tables.search();
    return one<OperationRow>(this.#sql.find, id);
  }

  #begun(kind: OperationKind, { operationId, snapshotId }: Begun, at: Happening): void {
    const row = this.#new({ id: operationId, kind, snapshotId, at });
    this.#unwritten.set(operationId, row);
    at.head.operation = row.number;
  }

  #doneAtOnce(kind: 'retire' | 'unretire', snapshotId: string, at: Happening): void {
    const row = this.#new({ id: at.correlationId, kind, snapshotId, at });
    this.#write({ ...row, phase: 'done', outcome: 'succeeded' });
  }

  /** A step that stands in the log by itself; in the end the worker tells all of them. */
  #came(operationId: string, name: string, { version, recordedAt }: Happening): void {
    const row = this.find(operationId);
    if (!row) return;
    const step: Step = { name, state: 'done', startedAt: recordedAt, endedAt: recordedAt };
    const steps = JSON.stringify([...(JSON.parse(row.steps) as Step[]), step]);
    this.#unwritten.set(row.id, { ...row, steps, version });
  }

  #succeeded(ended: Ended, at: Happening, isStuck = false): void {
    this.#end(ended, at, { outcome: 'succeeded', ...(isStuck && { message: STUCK }) });
  }

  #failed(ended: Ended & DataOf<'CreateFailed' | 'DeleteFailed'>, at: Happening): void {
    const { outcome, reason, message, leftovers } = ended;
    this.#end(ended, at, {
      outcome: outcome === 'held' ? 'needs-operator' : 'failed',
      reason,
      message,
      leftovers: JSON.stringify(leftovers),
    });
  }

  #end({ operationId, steps }: Ended, { head, version }: Happening, end: Change): void {
    head.operation = NONE;
    const row = this.find(operationId);
    if (row) this.#write({ ...row, ...end, phase: 'done', steps: JSON.stringify(steps), version });
    this.#unwritten.delete(operationId);
  }

  /** An operation names what it left behind until that is removed or its operator has answered for it. */
  #leave({ head, version }: Happening, isLeft: (leftover: Leftover) => boolean): void {
    this.#rows.write();
    for (const row of all<OperationRow>(this.#sql.leaving, head.vm)) {
      const leftovers = (JSON.parse(row.leftovers) as Leftover[]).filter(isLeft);
      this.#write({ ...row, leftovers: JSON.stringify(leftovers), version });
    }
  }

  #new(of: { id: string; kind: OperationKind; snapshotId: string | null; at: Happening }): OperationRow {
    const { head, version, actor } = of.at;
    const vm_number = (head.operations ?? this.#countOf(head)) + 1;
    head.operations = vm_number;
    this.#last += 1;
    return {
      ...{ number: this.#last, vm: head.vm, vm_number, id: of.id, kind: of.kind, snapshot_id: of.snapshotId },
      ...{ actor, version, phase: 'queued', outcome: null, reason: null, message: null },
      ...{ steps: '[]', leftovers: '[]' },
    };
  }

  #countOf({ vm }: Head): number {
    this.#tables.search();
    return one<{ number: number | null }>(this.#sql.lastOfVm, vm)?.number ?? 0;
  }

  #write(row: OperationRow): void {
    const { number, vm, vm_number, id, kind, snapshot_id, actor, version } = row;
    const { phase, outcome, reason, message, steps, leftovers } = row;
    const state = [version, phase, outcome, reason, message, steps, leftovers];
    this.#rows.add(number, vm, vm_number, id, kind, snapshot_id, actor, ...state);
  }
}

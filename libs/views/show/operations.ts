import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { z } from 'zod';
import type { Recorded } from '#event-store';
import { isRetryable, type Leftover, type Step, type VmEvent } from '#ledger';
import type { OperationKind, OperationView } from '../shapes.ts';
import { all, one } from '../sql.ts';
import type { OperationRow } from '../write/operations.ts';
import { type Counted, cursorOf, cut, moreAt, type Page, sizeOf } from './page.ts';

export interface OperationsQuery extends Page {
  readonly vmId?: string;
  readonly done?: boolean;
}

/** Operations that were asked for after the first page are not of its list. */
const Cursor = z.object({
  after: z.int().positive(),
  last: z.int().nonnegative(),
  total: z.int().nonnegative(),
});

interface ShownRow extends OperationRow {
  readonly vm_id: string;
}

/** What is shown of a row: not when it changed, and not where it stands. */
type Content = Omit<ShownRow, 'number' | 'vm' | 'vm_number' | 'actor' | 'version'>;

const ROWS = 'SELECT o.*, s.vm_id FROM operations o';
const OPEN_ROWS = `${ROWS} INDEXED BY operations_open`;
const VM_ID = 'JOIN streams s ON s.number = o.vm';
const OF_VM = 'o.vm = (SELECT number FROM streams WHERE vm_id = ?4)';
const PAGE = (number: string): string => `${number} > ?1 AND ${number} <= ?2 ORDER BY ${number} LIMIT ?3`;

type ListName = 'all' | 'open' | 'done';

const statements = (db: DatabaseSync) => ({
  find: db.prepare(`${ROWS} ${VM_ID} WHERE o.id = ? ORDER BY o.number LIMIT 1`),
  last: db.prepare('SELECT coalesce(max(number), 0) AS count FROM operations'),
  lastOfVm: db.prepare(`
    SELECT coalesce(max(vm_number), 0) AS count FROM operations
    WHERE vm = (SELECT number FROM streams WHERE vm_id = ?)`),
  open: db.prepare(
    'SELECT count(*) AS count FROM operations INDEXED BY operations_open WHERE outcome IS NULL',
  ),
  openOfVm: db.prepare(`
    SELECT count(*) AS count FROM operations INDEXED BY operations_open
    WHERE outcome IS NULL AND vm = (SELECT number FROM streams WHERE vm_id = ?)`),
});

/** Each list by the index that has it, so that a page costs a page. */
const lists = (db: DatabaseSync): Record<ListName, StatementSync> => ({
  all: db.prepare(`${ROWS} ${VM_ID} WHERE ${PAGE('o.number')}`),
  open: db.prepare(`${OPEN_ROWS} ${VM_ID} WHERE o.outcome IS NULL AND ${PAGE('o.number')}`),
  done: db.prepare(`${ROWS} ${VM_ID} WHERE o.outcome IS NOT NULL AND ${PAGE('o.number')}`),
});

const listsOfVm = (db: DatabaseSync): Record<ListName, StatementSync> => ({
  all: db.prepare(`${ROWS} ${VM_ID} WHERE ${OF_VM} AND ${PAGE('o.vm_number')}`),
  open: db.prepare(`${OPEN_ROWS} ${VM_ID} WHERE o.outcome IS NULL AND ${OF_VM} AND ${PAGE('o.vm_number')}`),
  done: db.prepare(`${ROWS} ${VM_ID} WHERE o.outcome IS NOT NULL AND ${OF_VM} AND ${PAGE('o.vm_number')}`),
});

/** Shows operations, in the order in which they were asked for. */
export class OperationLists {
  readonly #sql: ReturnType<typeof statements>;
  readonly #lists: Record<ListName, StatementSync>;
  readonly #listsOfVm: Record<ListName, StatementSync>;

  constructor(db: DatabaseSync) {
    this.#sql = statements(db);
    this.#lists = lists(db);
    this.#listsOfVm = listsOfVm(db);
  }

  one(id: string): OperationView | null {
    const row = one<ShownRow>(this.#sql.find, id);
    return row ? shown(row) : null;
  }

  /** Of one VM, or of all. Throws the refusal `invalid-query`. */
  list(query: OperationsQuery): Counted & { readonly operations: readonly OperationView[] } {
    const { vmId = null, done = null } = query;
    const about = ['operations', vmId, done];
    const cursor = cursorOf(query, about, Cursor);
    const { last, total } = cursor ?? this.#extentOf(vmId, done);
    const pageSize = sizeOf(query);
    const range = [cursor?.after ?? 0, last, pageSize + 1];
    const { rows, end } = cut(this.#rows(range, vmId, done), pageSize);
    const after = vmId === null ? end?.number : end?.vm_number;
    return {
      operations: rows.map(shown),
      totalSize: total,
      ...moreAt(about, after === undefined ? null : { after, last, total }),
    };
  }

  #rows(range: readonly number[], vmId: string | null, done: boolean | null): readonly ShownRow[] {
    const name = done === null ? 'all' : done ? 'done' : 'open';
    return vmId === null
      ? all<ShownRow>(this.#lists[name], ...range)
      : all<ShownRow>(this.#listsOfVm[name], ...range, vmId);
  }

  #extentOf(vmId: string | null, done: boolean | null): { readonly last: number; readonly total: number } {
    const { last, lastOfVm, open, openOfVm } = this.#sql;
    const countOf = (ofAll: StatementSync, ofVm: StatementSync): number =>
      (vmId === null ? one<{ count: number }>(ofAll) : one<{ count: number }>(ofVm, vmId))?.count ?? 0;
    const asked = countOf(last, lastOfVm); // They are numbered from 1 without a gap.
    if (done === null) return { last: asked, total: asked };
    const opened = countOf(open, openOfVm);
    return { last: asked, total: done ? asked - opened : opened };
  }
}

function shown(row: Content): OperationView {
  const { id, kind, vm_id: vmId, snapshot_id: snapshotId, phase, outcome, reason, message } = row;
  const isDone = phase === 'done';
  const failure = reason === null || message === null ? null : { reason, message };
  return {
    ...{ id, kind, vmId, snapshotId, done: isDone, outcome, phase, percent: isDone ? 100 : 0 },
    steps: JSON.parse(row.steps) as readonly Step[],
    leftovers: JSON.parse(row.leftovers) as readonly Leftover[],
    ...(failure && { error: { ...failure, retryable: isRetryable(failure.reason) } }),
    message: failure?.message ?? sentenceOf(kind, phase),
    ...(outcome === 'succeeded' && { response: { snapshotId } }),
  };
}

function sentenceOf(kind: OperationKind, phase: OperationView['phase']): string {
  switch (phase) {
    case 'queued':
      return `${kind} waits for the worker`;
    case 'working':
      return `${kind} is being carried out`;
    case 'done':
      return `${kind} is done`;
  }
}

const KINDS = {
  SnapshotRequested: 'create',
  LoadRequested: 'load',
  DeleteRequested: 'delete',
  SnapshotRetired: 'retire',
  SnapshotUnretired: 'unretire',
} as const satisfies Partial<Record<VmEvent['type'], OperationKind>>;

type Request = Extract<Recorded<VmEvent>, { readonly type: keyof typeof KINDS }>;

const isRequest = (event: Recorded<VmEvent>): event is Request => Object.hasOwn(KINDS, event.type);

/** The operation as it was when its request was accepted: what a replayed answer says again. */
export function operationFromRequest(event: Recorded<VmEvent>): OperationView {
  if (!isRequest(event)) throw new Error(`${event.type} asks for nothing`);
  const kind = KINDS[event.type];
  const isDone = kind === 'retire' || kind === 'unretire';
  return shown({
    ...{ id: event.correlationId, kind, vm_id: event.stream.slice('vm-'.length) },
    ...{ snapshot_id: event.data.snapshotId, steps: '[]', leftovers: '[]', reason: null, message: null },
    ...(isDone ? { phase: 'done', outcome: 'succeeded' } : { phase: 'queued', outcome: null }),
  });
}

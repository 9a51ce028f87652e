import { isRetryable, type VmEventOf } from '#ledger';
import type { OperationKind, OperationView } from '../shapes.ts';
import type { Told } from './replay.ts';

/** An event that asks for something. */
export type RequestEvent = Extract<
  Told,
  {
    type: 'SnapshotRequested' | 'LoadRequested' | 'DeleteRequested' | 'SnapshotRetired' | 'SnapshotUnretired';
  }
>;

const KINDS: Readonly<Record<RequestEvent['type'], OperationKind>> = {
  SnapshotRequested: 'create',
  LoadRequested: 'load',
  DeleteRequested: 'delete',
  SnapshotRetired: 'retire',
  SnapshotUnretired: 'unretire',
};

const isRequest = (event: Told): event is RequestEvent => Object.hasOwn(KINDS, event.type);

/** The operation as it was when its request was accepted: what a replayed answer says again. */
export function operationFromRequest(event: Told): OperationView {
  if (!isRequest(event)) throw new Error(`${event.type} asks for nothing`);
  const kind = KINDS[event.type];
  const asked = {
    id: event.correlationId,
    kind,
    vmId: event.stream.slice('vm-'.length),
    snapshotId: event.data.snapshotId,
    steps: [],
    leftovers: [],
  };
  return kind === 'retire' || kind === 'unretire'
    ? { ...asked, done: true, outcome: 'succeeded', phase: 'done', percent: 100, message: `${kind} is done` }
    : {
        ...asked,
        done: false,
        outcome: null,
        phase: 'queued',
        percent: 0,
        message: `${kind} waits for the worker`,
      };
}

/** Every operation, in the order of the log. */
export class Operations {
  readonly #known = new Map<string, OperationView>();

  tell(event: Told): void {
    if (isRequest(event) && !this.#known.has(event.correlationId)) {
      this.#known.set(event.correlationId, operationFromRequest(event));
      return;
    }
    const known = this.#known.get(event.correlationId);
    if (known) this.#known.set(known.id, after(known, event));
  }

  find(id: string): OperationView | null {
    return this.#known.get(id) ?? null;
  }

  all(): OperationView[] {
    return [...this.#known.values()];
  }
}

function after(known: OperationView, event: Told): OperationView {
  switch (event.type) {
    case 'OperationStarted':
      return { ...known, phase: 'working', message: `${known.kind} is being carried out` };
    case 'SnapshotCreated':
    case 'SnapshotLoaded':
    case 'SnapshotDeleted': {
      const { snapshotId, steps } = event.data;
      const ended = { done: true, outcome: 'succeeded', phase: 'done', percent: 100 } as const;
      return { ...known, ...ended, steps, message: `${known.kind} is done`, response: { snapshotId } };
    }
    case 'CreateFailed':
    case 'LoadFailed':
    case 'DeleteFailed':
      return failed(known, event);
    case 'VmRegistered':
    case 'VmChanged':
    case 'DisksChanged':
    case 'VmForgotten':
    case 'SnapshotRequested':
    case 'LoadRequested':
    case 'DeleteRequested':
    case 'SnapshotDiscarded':
    case 'SnapshotRenamed':
    case 'SnapshotDescribed':
    case 'SnapshotLabelled':
    case 'SnapshotProtected':
    case 'SnapshotUnprotected':
    case 'SnapshotRetired':
    case 'SnapshotUnretired':
    case 'LeftoverRemoved':
    case 'HoldReleased':
      return known;
  }
}

function failed(
  known: OperationView,
  { data }: VmEventOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>,
): OperationView {
  const { reason, message, outcome, leftovers, steps } = data;
  return {
    ...known,
    ...{ done: true, phase: 'done', percent: 100, steps, leftovers, message },
    outcome: outcome === 'held' ? 'needs-operator' : 'failed',
    error: { reason, message, retryable: isRetryable(reason) },
  };
}

import type { VmEventType } from '#ledger';
import type { HistoryAction, HistoryEntry, OperationOutcome } from '../shapes.ts';
import type { Told } from './replay.ts';

/** What each event is called in the history; null where it only says that something is under way. */
const ACTIONS: Readonly<Record<VmEventType, HistoryAction | null>> = {
  VmRegistered: 'registered',
  VmChanged: 'changed',
  DisksChanged: 'disks-changed',
  VmForgotten: 'forgotten',
  SnapshotRequested: null,
  LoadRequested: null,
  DeleteRequested: null,
  OperationStarted: null,
  SnapshotCreated: 'created',
  CreateFailed: 'create-failed',
  SnapshotLoaded: 'loaded',
  LoadFailed: 'load-failed',
  SnapshotDeleted: 'deleted',
  DeleteFailed: 'delete-failed',
  SnapshotDiscarded: 'discarded',
  SnapshotRenamed: 'renamed',
  SnapshotDescribed: 'described',
  SnapshotLabelled: 'labelled',
  SnapshotProtected: 'protected',
  SnapshotUnprotected: 'unprotected',
  SnapshotRetired: 'retired',
  SnapshotUnretired: 'unretired',
  LeftoverRemoved: 'leftover-removed',
  HoldReleased: 'hold-released',
};

/** One VM's history as it grows. */
export class History {
  readonly #entries: HistoryEntry[] = [];
  /** Who asked, by operation: the worker only reports. */
  readonly #askers = new Map<string, string>();
  readonly #names = new Map<string, string>();

  tell(event: Told): void {
    const { type, data, actor, correlationId, recordedAt: at } = event;
    const snapshotId = 'snapshotId' in data ? data.snapshotId : null;
    if (snapshotId !== null && 'name' in data && data.name !== undefined)
      this.#names.set(snapshotId, data.name);
    const operationId = 'operationId' in data ? data.operationId : null;
    const action = ACTIONS[type];
    if (action === null) {
      if (type !== 'OperationStarted') this.#askers.set(correlationId, actor);
      return;
    }
    this.#entries.push({
      ...{ at, actor: this.#askers.get(correlationId) ?? actor, action, snapshotId, operationId },
      name: snapshotId === null ? null : (this.#names.get(snapshotId) ?? null),
      outcome: outcomeOf(event),
      ...('reason' in data && { reason: data.reason }),
    });
  }

  entries(): readonly HistoryEntry[] {
    return this.#entries;
  }
}

const outcomeOf = ({ data }: Told): OperationOutcome => {
  if (!('outcome' in data)) return 'succeeded';
  return data.outcome === 'held' ? 'needs-operator' : 'failed';
};

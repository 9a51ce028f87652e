import { type EventStore, follow, type FollowedBatch } from '#event-store';
import { wrongChainIn } from '#ledger';
import { parseRfc3339, type World } from '#world';
import { type Ledgers, REGISTRY_STREAM, streamOf, vmOf } from './ledger.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** Operations whose beginning is remembered until they end. More than that cannot be open at once. */
const BEGUN_MAX = 100_000;

const BEGINNINGS: ReadonlySet<string> = new Set(['SnapshotRequested', 'LoadRequested', 'DeleteRequested']);

const KIND_OF_END: Readonly<Record<string, string>> = {
  SnapshotCreated: 'create',
  CreateFailed: 'create',
  SnapshotLoaded: 'load',
  LoadFailed: 'load',
  SnapshotDeleted: 'delete',
  DeleteFailed: 'delete',
};

/** After these a VM may be held, or not any more. */
const HOLD_CHANGES: ReadonlySet<string> = new Set([
  ...Object.keys(KIND_OF_END),
  'LeftoverRemoved',
  'HoldReleased',
  'DriftFound',
  'VmForgotten',
]);

interface TallyParts {
  readonly world: World;
  readonly store: EventStore;
  readonly ledgers: Ledgers;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly signal: AbortSignal;
}

type Counted = FollowedBatch[number];

/** Counts for the metrics what the log tells, from now on. Nothing else rests on it. */
export class Tally {
  readonly #parts: TallyParts;
  readonly #begunAt = new Map<string, number>();
  readonly #held = new Set<string>();

  private constructor(parts: TallyParts) {
    this.#parts = parts;
  }

  static async start(parts: TallyParts): Promise<Tally> {
    const tally = new Tally(parts);
    const { world, store, signal, log } = parts;
    const trouble = (error: unknown): void =>
      log.warn({ err: error }, 'the metrics miss some of what happens');
    follow({
      world,
      store,
      name: 'tally',
      from: await store.head(),
      signal,
      on: (events) => tally.#count(events),
      onTrouble: trouble,
    });
    tally.#findHeld().catch(trouble); // Nobody has to wait for it.
    return tally;
  }

  /** VMs that wait for an operator. */
  get heldCount(): number {
    return this.#held.size;
  }

  async #findHeld(): Promise<void> {
    const { state } = await this.#parts.ledgers.registry.state(REGISTRY_STREAM);
    for (const vmId of state.claims.keys()) await this.#lookAtHold(vmId);
  }

  async #count(events: readonly Counted[]): Promise<void> {
    const changed = new Set<string>();
    for (const event of events) {
      this.#countOperation(event);
      const vmId = vmOf(event.stream);
      if (vmId !== null && HOLD_CHANGES.has(event.type)) changed.add(vmId);
    }
    for (const vmId of changed) await this.#lookAtHold(vmId);
  }

  async #lookAtHold(vmId: string): Promise<void> {
    const { state } = await this.#parts.ledgers.vms.state(streamOf(vmId));
    const isHeld = state.hold !== null || wrongChainIn(state) !== undefined;
    if (state.life === 'registered' && isHeld) this.#held.add(vmId);
    else this.#held.delete(vmId);
  }

  #countOperation({ type, data, recordedAt, correlationId }: Counted): void {
    const at = parseRfc3339(recordedAt) ?? 0;
    if (BEGINNINGS.has(type) && this.#begunAt.size < BEGUN_MAX) this.#begunAt.set(correlationId, at);
    const kind = KIND_OF_END[type];
    if (kind === undefined) return;
    const begunAt = this.#begunAt.get(correlationId);
    this.#begunAt.delete(correlationId);
    const { outcome, reason } = endIn(data);
    this.#parts.metrics.operationEnded(kind, outcome, reason, begunAt === undefined ? null : at - begunAt);
  }
}

/** How a terminal event says that it went. */
function endIn(data: object): { outcome: string; reason: string } {
  if (!('outcome' in data) || !('reason' in data)) return { outcome: 'succeeded', reason: '' };
  return { outcome: data.outcome === 'held' ? 'needs-operator' : 'failed', reason: String(data.reason) };
}

import { comparePositions, type EventStore } from '#event-store';
import { Refusal } from '#ledger';
import type { World } from '#world';
import type { LineageQuery } from './show/lineage.ts';
import type { OperationsQuery } from './show/operations.ts';
import type { Counted, More, Page } from './show/page.ts';
import type { At } from './show/places.ts';
import type { Showing } from './show/show.ts';
import type { SnapshotsQuery } from './show/snapshot-list.ts';
import type { VmsQuery } from './show/vms.ts';
import type { HistoryEntry, LineageView, OperationView, Shown, SnapshotView, VmView } from './shapes.ts';
import { Keeper, type ViewsNotice, type ViewsState } from './write/keeper.ts';

export interface ViewsOptions {
  readonly world: World;
  readonly store: EventStore;
  /** Where they are kept; `:memory:` to build them anew at every start. */
  readonly file: string;
  /** Hears what an operator may like to read in the log. */
  readonly onNotice?: (notice: ViewsNotice) => void;
}

/**
 * Everything anyone reads, in the shapes in which it is sent. Follows the log by itself; `reached` tells how far.
 * While the file is being built every question is refused: `view-behind`.
 */
export class Views {
  readonly #world: World;
  readonly #keeper: Keeper;
  readonly #closing = new AbortController();
  readonly #kept: Promise<void>;
  readonly #waiting = new Set<() => void>();

  constructor({ world, store, file, onNotice = () => undefined }: ViewsOptions) {
    this.#world = world;
    const { signal } = this.#closing;
    this.#keeper = new Keeper({ world, store, file, signal, onNotice, onChange: () => this.#wake() });
    this.#kept = this.#keeper.run().then(() => this.#wake());
  }

  /** Resolves when the file was opened, or could not be, for the first time. */
  opened(): Promise<void> {
    return this.#keeper.opened();
  }

  /** The last position that can be seen; null before the first event, and while the file is being built. */
  position(): string | null {
    return this.#keeper.position;
  }

  state(): ViewsState {
    return this.#keeper.state;
  }

  /** Whether the views have reached `position`, at the latest after `timeoutMs`. */
  async reached(position: string, timeoutMs: number): Promise<boolean> {
    const over = new AbortController();
    const patience = this.#world.clock.sleep(timeoutMs, over.signal).then(() => over.abort());
    while (!this.#has(position) && !over.signal.aborted) await this.changed(over.signal);
    over.abort();
    await patience;
    return this.#has(position);
  }

  /** Resolves when there is something new to see, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  /** As it is now, or was; null before it is registered and after it was forgotten. */
  vm(vmId: string, at: At = {}): Shown<VmView> | null {
    return this.#see(({ machines }) => machines.one(vmId, at));
  }

  /** In the order of their registration. Throws the refusal `invalid-query`, as every list does. */
  vms(query: VmsQuery): Counted & { readonly vms: readonly VmView[] } {
    return this.#see(({ machines }) => machines.list(query));
  }

  /** Any that was ever asked for, as it is now or was; null when it had not been asked for. */
  snapshot(vmId: string, id: string, at: At = {}): Shown<SnapshotView> | null {
    return this.#see(({ shelves: { places, snapshots } }) => {
      const place = places.find(vmId, at);
      const number = place && snapshots.find(place, id);
      return place && number !== null
        ? { body: snapshots.show(place, number), version: place.version }
        : null;
    });
  }

  /** In the order in which they were asked for. Throws the refusal `vm-unknown`. */
  snapshots(vmId: string, query: SnapshotsQuery): Counted & { readonly snapshots: readonly SnapshotView[] } {
    return this.#see(({ snapshotLists }) => snapshotLists.list(vmId, query));
  }

  /** A page may be short before the last one. Throws the refusals `vm-unknown` and `snapshot-unknown`. */
  lineage(vmId: string, query: LineageQuery): LineageView {
    return this.#see(({ lineages }) => lineages.tree(vmId, query, this.position() ?? '0'));
  }

  /** The parent first, the root last. Throws the refusals `vm-unknown` and `snapshot-unknown`. */
  ancestors(vmId: string, id: string, query: Page): More & { readonly snapshots: readonly SnapshotView[] } {
    return this.#see(({ lineages }) => lineages.ancestors(vmId, id, query));
  }

  /** Oldest first; of a forgotten VM too. Empty when there never was such a VM. */
  history(vmId: string, query: Page): Counted & { readonly entries: readonly HistoryEntry[] } {
    return this.#see(({ histories }) => histories.list(vmId, query));
  }

  operation(id: string): OperationView | null {
    return this.#see(({ operations }) => operations.one(id));
  }

  /** In the order in which they were asked for. */
  operations(query: OperationsQuery): Counted & { readonly operations: readonly OperationView[] } {
    return this.#see(({ operations }) => operations.list(query));
  }

  /** Ends the following. What was applied stays in the file. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#kept;
  }

  #see<T>(look: (showing: Showing) => T): T {
    const { showing } = this.#keeper;
    if (!showing) throw notYet();
    try {
      return look(showing);
    } catch (error) {
      this.#keeper.doubt(error);
      if (this.#keeper.showing) throw error;
      throw notYet();
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #has(position: string): boolean {
    const at = this.position();
    return at !== null && comparePositions(at, position) >= 0;
  }
}

const notYet = (): Refusal => new Refusal('view-behind', 'the views are being built from the log');

/** Opens the file and begins to follow the log; does not wait until a file is built. */
export async function openViews(options: ViewsOptions): Promise<Views> {
  const views = new Views(options);
  await views.opened();
  return views;
}

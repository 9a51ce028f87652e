import { comparePositions, type EventStore, follow, type Following } from '#event-store';
import { readRegistryEvent, readVmEvent, type RegistryEvent, type VmEvent } from '#ledger';
import { parseRfc3339, type World } from '#world';
import type { HistoryEntry, LineageView, OperationView, Shown, SnapshotView, VmView } from '../shapes.ts';
import { History } from './history-view.ts';
import { Operations } from './operation-view.ts';
import { type Page, paged } from './pages.ts';
import { isLive, Replay, type Told } from './replay.ts';
import { preOrder } from './tree.ts';

export interface ViewsOptions {
  readonly world: World;
  readonly store: EventStore;
  /** Where they will be kept. Today they live in memory and are built anew at every start. */
  readonly file: string;
}

export interface At {
  /** Of the VM's stream. */
  readonly version?: number;
  /** Events recorded until then, in ms since 1970. */
  readonly asOf?: number;
}

export interface SnapshotsQuery extends Page {
  readonly name?: string;
  readonly status?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly implicit?: boolean;
  readonly asOf?: number;
}

type More = { readonly nextPageToken?: string };
type Counted = More & { readonly totalSize: number };

interface Shelf {
  readonly events: Told[];
  readonly now: Replay;
  readonly history: History;
}

const SHOWN_UNLESS_ASKED: ReadonlySet<string> = new Set([
  'pending',
  'complete',
  'deleting',
  'lost',
  'suspect',
]);

/** Everything anyone reads, kept in memory and built anew from the log at every start. */
export class Views {
  readonly #world: World;
  readonly #shelves = new Map<string, Shelf>();
  readonly #operations = new Operations();
  readonly #waiting = new Set<() => void>();
  readonly #stopping = new AbortController();
  readonly #following: Following;
  #position: string | null = null;

  constructor({ world, store }: ViewsOptions) {
    this.#world = world;
    this.#following = follow<VmEvent | RegistryEvent>({
      world,
      store,
      name: 'views',
      from: null,
      signal: this.#stopping.signal,
      read: (type, schemaVersion, data) =>
        (type === 'VmClaimed' || type === 'ClaimReleased' ? readRegistryEvent : readVmEvent)(
          type,
          schemaVersion,
          data,
        ),
      on: (batch) => {
        for (const event of batch) {
          if (event.type !== 'VmClaimed' && event.type !== 'ClaimReleased') this.#tell(event);
          this.#position = event.position;
        }
        for (const wake of this.#waiting) wake();
        this.#waiting.clear();
      },
      onTrouble: () => undefined, // `state` shows it.
    });
  }

  #tell(event: Told): void {
    const vmId = event.stream.slice('vm-'.length);
    const shelf = this.#shelves.get(vmId) ?? { events: [], now: new Replay(vmId), history: new History() };
    this.#shelves.set(vmId, shelf);
    shelf.events.push(event);
    shelf.now.tell(event);
    shelf.history.tell(event);
    this.#operations.tell(event);
  }

  /** The VM after those of its events that are meant. */
  #replay(vmId: string, { version, asOf }: At): Replay {
    const shelf = this.#shelves.get(vmId);
    if (!shelf) return new Replay(vmId);
    if (asOf === undefined && (version ?? shelf.now.version) >= shelf.now.version) return shelf.now;
    const replay = new Replay(vmId);
    for (const event of shelf.events) {
      const isLater = asOf !== undefined && (parseRfc3339(event.recordedAt) ?? 0) > asOf;
      if (isLater || (version !== undefined && Number(event.version) > version)) break;
      replay.tell(event);
    }
    return replay;
  }

  /** The last position applied; null before the first event. */
  position(): string | null {
    return this.#position;
  }

  state(): 'following' | 'rebuilding' | 'log-newer' | 'stopped' {
    const state = this.#following.state();
    if (state === 'log-newer' || state === 'stopped') return state;
    return state === 'log-older' ? 'stopped' : 'following';
  }

  /** Whether the views have reached `position`, at the latest after `timeoutMs`. */
  async reached(position: string, timeoutMs: number): Promise<boolean> {
    if (this.#has(position)) return true;
    const patience = new AbortController();
    const over = this.#world.clock.sleep(timeoutMs, patience.signal).then(() => patience.abort());
    while (!this.#has(position) && !patience.signal.aborted) await this.changed(patience.signal);
    patience.abort();
    await over;
    return this.#has(position);
  }

  #has = (position: string): boolean =>
    this.#position !== null && comparePositions(this.#position, position) >= 0;

  /** Resolves at the next applied batch, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  vm(vmId: string, at: At = {}): Shown<VmView> | null {
    const replay = this.#replay(vmId, at);
    const body = replay.vm();
    return body && { body, version: replay.version };
  }

  vms(query: Page & { readonly name?: string }): Counted & { readonly vms: readonly VmView[] } {
    const all = [...this.#shelves.values()].map(({ now }) => now.vm()).filter((vm) => vm !== null);
    const wanted = all.filter(({ name }) => query.name === undefined || name === query.name);
    const { items, totalSize, next } = paged(wanted, { ...query });
    return { vms: items, totalSize, ...next };
  }

  snapshot(vmId: string, id: string, at: At = {}): Shown<SnapshotView> | null {
    const replay = this.#replay(vmId, at);
    const body = replay.snapshot(id);
    return body && { body, version: replay.version };
  }

  snapshots(vmId: string, query: SnapshotsQuery): Counted & { readonly snapshots: readonly SnapshotView[] } {
    const { name, status, labels = {}, implicit = false } = query;
    const wanted = this.#replay(vmId, asOfIn(query))
      .snapshots()
      .filter((snapshot) =>
        status ? status.includes(snapshot.status) : SHOWN_UNLESS_ASKED.has(snapshot.status),
      )
      .filter((snapshot) => implicit || !snapshot.implicit)
      .filter((snapshot) => name === undefined || snapshot.name === name)
      .filter((snapshot) => Object.entries(labels).every(([key, value]) => snapshot.labels[key] === value));
    const { items, totalSize, next } = paged(wanted, { ...query, vmId } as Page);
    return { snapshots: items, totalSize, ...next };
  }

  lineage(vmId: string, query: Page & { root?: string; depth?: number; asOf?: number }): LineageView {
    const replay = this.#replay(vmId, asOfIn(query));
    const { items, next } = paged(preOrder(replay.snapshots().filter(isLive), query), {
      ...query,
      vmId,
    } as Page);
    return { vmId, position: this.#position ?? '0', current: replay.current(), nodes: items, ...next };
  }

  /** The parent first, the root last. */
  ancestors(vmId: string, id: string, query: Page): More & { readonly snapshots: readonly SnapshotView[] } {
    const replay = this.#replay(vmId, {});
    const path: SnapshotView[] = [];
    const parentOf = (child: SnapshotView | null) => replay.snapshot(child?.parentId ?? '');
    for (let next = parentOf(replay.snapshot(id)); next; next = parentOf(next)) path.push(next);
    const { items, next } = paged(path, { ...query, vmId, id } as Page);
    return { snapshots: items, ...next };
  }

  /** Oldest first; of a forgotten VM too. */
  history(vmId: string, query: Page): Counted & { readonly entries: readonly HistoryEntry[] } {
    const entries = this.#shelves.get(vmId)?.history.entries() ?? [];
    const { items, totalSize, next } = paged(entries, { ...query, vmId } as Page);
    return { entries: items, totalSize, ...next };
  }

  operation(id: string): OperationView | null {
    return this.#operations.find(id);
  }

  operations(
    query: Page & { readonly vmId?: string; readonly done?: boolean },
  ): Counted & { readonly operations: readonly OperationView[] } {
    const { vmId, done } = query;
    const wanted = this.#operations
      .all()
      .filter((operation) => vmId === undefined || operation.vmId === vmId)
      .filter((operation) => done === undefined || operation.done === done);
    const { items, totalSize, next } = paged(wanted, { ...query });
    return { operations: items, totalSize, ...next };
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#following.stopped;
  }
}

const asOfIn = ({ asOf }: { asOf?: number }): At => (asOf === undefined ? {} : { asOf });

/** Begins to follow the log; `reached` tells how far it has come. */
export const openViews = (options: ViewsOptions): Promise<Views> => Promise.resolve(new Views(options));

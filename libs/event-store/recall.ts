import type { World } from '#world';
import { type Decider, recorded } from './decider.ts';
import type { EventShape } from './envelope.ts';
import { blank, fold, isDueToPersist, type Known, persisted, revived, sizeOf } from './known.ts';
import { StateCache } from './state-cache.ts';
import type { StateStore } from './state-store.ts';
import { type EventStore, PAGE_EVENTS_MAX, StoreTrouble } from './store.ts';

/** What the states of streams that are not in use may take in memory, unless told otherwise. */
const CACHE_BYTES_MAX = 256 * 1024 * 1024;

export interface LedgerParts<State, Command, Event extends EventShape> {
  readonly world: World;
  readonly store: EventStore;
  readonly decider: Decider<State, Command, Event>;
  /** Where folded states outlive the process; without one, every stream is folded from its beginning. */
  readonly states?: StateStore;
  /** What the folded states may take in memory; 256 MiB unless told. */
  readonly cacheBytesMax?: number;
  /** Hears of states that could not be written or read: that costs time, nothing else. */
  readonly onTrouble?: (error: unknown) => void;
}

/** Knows what every stream has come to, folding no more events than it must. One caller per stream at a time. */
export class Recall<State, Event extends EventShape> {
  readonly #parts: LedgerParts<State, never, Event>;
  readonly #cache: StateCache<State>;

  constructor(parts: LedgerParts<State, never, Event>) {
    this.#parts = parts;
    this.#cache = new StateCache(parts.cacheBytesMax ?? CACHE_BYTES_MAX);
  }

  /** What was kept, else what was persisted and the events after it, else all events. The caller owns it now. */
  async take(stream: string): Promise<Known<State>> {
    const kept = this.#cache.take(stream);
    if (kept) return kept;
    const before = await this.#revived(stream);
    return await this.caughtUp(stream, before ?? this.#blank(stream));
  }

  /** The same, with what others have appended meanwhile. */
  async latest(stream: string): Promise<Known<State>> {
    const known = await this.take(stream);
    return this.#parts.store.isShared ? await this.caughtUp(stream, known) : known;
  }

  /** Takes it back, when nothing went wrong with it; what is not given back is folded anew. */
  async keep(stream: string, known: Known<State>): Promise<void> {
    if (isDueToPersist(known)) await this.#persist(stream, known);
    this.#cache.put(stream, known, sizeOf(known, this.#parts.decider));
  }

  /** The same with what the store has beyond it; made anew from the log when that tells another story. */
  async caughtUp(stream: string, known: Known<State>): Promise<Known<State>> {
    if (await this.#extend(stream, known)) return known;
    const anew = this.#blank(stream);
    if (await this.#extend(stream, anew)) return anew;
    throw new StoreTrouble('damaged', `the events of ${stream} do not follow each other: restore a backup`);
  }

  async persistAll(): Promise<void> {
    for (const [stream, known] of this.#cache) {
      if (known.unsaved > 0) await this.#persist(stream, known);
    }
  }

  #blank(stream: string): Known<State> {
    return blank(this.#parts.decider.initial(stream));
  }

  /** False when the stream is shorter than what is known, or does not continue it. */
  async #extend(stream: string, known: Known<State>): Promise<boolean> {
    const { world, store, decider } = this.#parts;
    for (;;) {
      const { events, head } = await store.read(stream, known.version + 1, PAGE_EVENTS_MAX);
      for (const event of events) {
        if (event.previousHash !== known.hash) return false;
        fold(known, recorded<Event>(event, decider), decider);
      }
      if (known.version >= head.version) return known.version === head.version && known.hash === head.hash;
      await world.turn(); // A long stream lets others have their turn between two pages.
    }
  }

  async #revived(stream: string): Promise<Known<State> | null> {
    const { world, states, decider, onTrouble } = this.#parts;
    if (!states) return null;
    await world.fault('states.before-get');
    const kept = await states.get(stream);
    await world.fault('states.after-get');
    if (!kept || kept.evolveVersion !== decider.version) return null;
    try {
      return revived(kept);
    } catch (error) {
      onTrouble?.(error);
      return null;
    }
  }

  async #persist(stream: string, known: Known<State>): Promise<void> {
    const { world, states, decider, onTrouble } = this.#parts;
    if (!states) return;
    try {
      await world.fault('states.before-put');
      await states.put(stream, persisted(known, decider.version));
      await world.fault('states.after-put');
      known.unsaved = 0;
    } catch (error) {
      onTrouble?.(error);
    }
  }
}

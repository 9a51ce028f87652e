import type { StoredEvent } from '../envelope.ts';
import { PAGE_EVENTS_MAX } from '../store.ts';

/** The events of the last commit: whoever follows the log closely need not read them back from the file. */
export class Latest {
  #events: readonly StoredEvent[] = [];

  /** To be called after each commit, with all that it has recorded. */
  keep(events: readonly StoredEvent[]): void {
    this.#events = events.length > PAGE_EVENTS_MAX ? [] : events;
  }

  /** The page after a position; null when it holds other events too. Positions have no gaps in this store. */
  pageAfter(position: string | null): readonly StoredEvent[] | null {
    const [first] = this.#events;
    const last = this.#events.at(-1);
    const after = Number(position ?? 0);
    if (!first || !last) return null;
    if (after === Number(last.position)) return [];
    return after === Number(first.position) - 1 ? this.#events : null;
  }
}

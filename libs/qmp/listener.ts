import type { Clock } from '#world';
import type { QmpEvent, QmpListener } from './monitor.ts';

/** Of events that nobody takes the newest are kept: they tell how things stand. */
export const LISTENER_EVENTS_MAX = 256;

/** The listening end for one reader (`next`), the filling end for the session (`hear`). */
export class Listener implements QmpListener {
  droppedCount = 0;
  readonly #clock: Clock;
  readonly #names: ReadonlySet<string>;
  readonly #closed: () => void;
  readonly #events: QmpEvent[] = [];
  #isClosed = false;
  #waiting = new AbortController();

  constructor(clock: Clock, names: readonly string[], closed: () => void) {
    this.#clock = clock;
    this.#names = new Set(names);
    this.#closed = closed;
  }

  hear(event: QmpEvent): void {
    if (!this.#names.has(event.name)) return;
    if (this.#events.length === LISTENER_EVENTS_MAX) {
      this.#events.shift();
      this.droppedCount += 1;
    }
    this.#events.push(event);
    this.#waiting.abort('heard');
  }

  /** No more events will come; those that came can still be taken. */
  end(): void {
    this.#isClosed = true;
    this.#waiting.abort('closed');
  }

  async next(timeoutMs: number): Promise<QmpEvent | null> {
    if (this.#events.length === 0 && !this.#isClosed) {
      this.#waiting = new AbortController();
      await this.#clock.sleep(timeoutMs, this.#waiting.signal); // An event or the end wakes it early.
    }
    return this.heard();
  }

  heard(): QmpEvent | null {
    return this.#events.shift() ?? null;
  }

  close(): void {
    this.#events.length = 0;
    this.end();
    this.#closed();
  }
}

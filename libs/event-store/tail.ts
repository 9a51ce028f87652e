import type { World } from '#world';
import type { StoredEvent } from './envelope.ts';
import { comparePositions, isPosition, PAGE_EVENTS_MAX, StoreTrouble } from './store.ts';

/** Rung after every commit, so that followers in this process need not poll. */
export class Bell {
  #waiting = new Set<() => void>();

  ring(): void {
    const woken = this.#waiting;
    this.#waiting = new Set();
    for (const wake of woken) wake();
  }

  /** Resolves at the next ring, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#waiting.add(wake);
    });
  }
}

/** What following a log needs of a store that lives in this process. All of it is synchronous. */
export interface Log {
  readonly bell: Bell;
  isOpen(): boolean;
  /** The last position; null when there is none. */
  last(): string | null;
  /** The first `PAGE_EVENTS_MAX` events after a position. */
  pageAfter(position: string | null): readonly StoredEvent[];
}

/** `EventStore.since` for a store that lives in this process. */
export async function* tail(
  world: World,
  log: Log,
  position: string | null,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredEvent[]> {
  if (log.isOpen()) requireWithin(log, position);
  let after = position;
  while (!signal.aborted && log.isOpen()) {
    await world.fault('store.before-page');
    const events = log.pageAfter(after);
    const end = events.at(-1);
    if (end === undefined) {
      await log.bell.next(signal); // Nothing can be recorded between the look and the wait: no await stands there.
      await world.turn(); // Whoever recorded it goes on first: a machine may be waiting for that.
    } else {
      await world.fault('store.after-page');
      after = end.position;
      yield events;
      if (events.length === PAGE_EVENTS_MAX) await world.turn(); // A long catching-up lets others have their turn.
    }
  }
}

/** Before every event, in a log without any as well. */
const BEGINNING = '0';

/** Waiting there would skip what is going to be recorded up to that position. */
function requireWithin(log: Log, position: string | null): void {
  if (position === null) return;
  if (!isPosition(position)) throw new RangeError(`${position} is not a position`);
  const last = log.last();
  if (comparePositions(position, last ?? BEGINNING) <= 0) return;
  throw new StoreTrouble(
    'foreign',
    `position ${position} lies beyond the end of this log (${last ?? 'empty'}): the log is another one, or was ` +
      'put back to an older state; whoever follows it must begin anew',
  );
}

import type { World } from '#world';
import { type Decider, recorded, UnknownEvent } from './decider.ts';
import type { EventShape, Recorded, StoredEvent } from './envelope.ts';
import { type EventStore, StoreTrouble } from './store.ts';

/** The first wait after a trouble. It doubles with every further one. */
const RETRY_MS_MIN = 50;

/** The longest wait: how late a follower may notice that the trouble is over. */
export const RETRY_MS_MAX = 5_000;

/** What a follower is told at once, in the order of the log. */
export type FollowedBatch<Event extends EventShape = EventShape> = readonly Recorded<Event>[];

export interface Follower<Event extends EventShape> {
  readonly world: World;
  readonly store: EventStore;
  /** For those who read of its troubles. */
  readonly name: string;
  /** The position of the last event that need not be seen again; null: begin at the beginning. */
  readonly from: string | null;
  /** The domain's reader; left out by those who look at envelopes and pass `data` on as it was recorded. */
  readonly read?: Decider<never, never, Event>['read'];
  /** Called with every event, one batch after the other. A batch that fails comes again. */
  readonly on: (batch: FollowedBatch<Event>) => void | Promise<void>;
  readonly signal: AbortSignal;
  readonly onTrouble: (error: unknown, about: FollowerTrouble) => void;
}

export interface FollowerTrouble {
  readonly name: string;
  /** How often it went wrong at this place in the log. */
  readonly attempt: number;
  /** Null: the follower has stopped for good. */
  readonly retryInMs: number | null;
}

/**
 * log-newer: the next event is one of a newer program, which only that program may pass over.
 * log-older: the follower has seen more than the log holds, so the log was put back and must be followed anew.
 */
export type FollowerState = 'following' | 'retrying' | 'stopped' | 'log-newer' | 'log-older';

export interface Following {
  state(): FollowerState;
  /** The last event that `on` is done with. */
  position(): string | null;
  /** Resolves with the last state when the follower has stopped, whatever the reason. Never rejects. */
  readonly stopped: Promise<FollowerState>;
}

/**
 * Tells a follower everything that is recorded, from a position on, until the signal aborts or the store is
 * closed. It never skips an event; after a trouble or a restart it may see one twice.
 */
export function follow<Event extends EventShape = EventShape>(follower: Follower<Event>): Following {
  const following = new LogFollower(follower);
  return {
    state: () => following.state,
    position: () => following.position,
    stopped: following.run(),
  };
}

class LogFollower<Event extends EventShape> {
  state: FollowerState = 'following';
  position: string | null;
  readonly #follower: Follower<Event>;
  #attempt = 0;

  constructor(follower: Follower<Event>) {
    this.#follower = follower;
    this.position = follower.from;
  }

  async run(): Promise<FollowerState> {
    const { world, signal } = this.#follower;
    while (!signal.aborted) {
      const retryInMs = await this.#runUntilTrouble();
      if (retryInMs === null) return this.state;
      await world.clock.sleep(retryInMs, signal);
    }
    return (this.state = 'stopped');
  }

  /** When to go on after a trouble; null: never. */
  async #runUntilTrouble(): Promise<number | null> {
    const { store, signal } = this.#follower;
    const from = this.position;
    try {
      for await (const stored of store.since(this.position, signal)) await this.#tell(stored);
      this.state = 'stopped';
      return null;
    } catch (error) {
      this.#attempt = this.position === from ? this.#attempt + 1 : 1;
      return this.#stumble(error);
    }
  }

  async #tell(stored: readonly StoredEvent[]): Promise<void> {
    const { read, on } = this.#follower;
    const { events, unknown } = readable<Event>(stored, { read: read ?? asRecorded });
    if (events.length > 0) await on(events);
    this.position = events.at(-1)?.position ?? this.position;
    if (unknown) throw unknown;
    this.state = 'following';
  }

  #stumble(error: unknown): number | null {
    const { name, onTrouble } = this.#follower;
    const end = endOf(error);
    this.state = end ?? 'retrying';
    const attempt = this.#attempt;
    const retryInMs = end ? null : Math.min(RETRY_MS_MIN * 2 ** (attempt - 1), RETRY_MS_MAX);
    onTrouble(error, { name, attempt, retryInMs });
    return retryInMs;
  }
}

/** Without a reader an event is what its envelope says. */
const asRecorded = <Event extends EventShape>(type: string, _schemaVersion: string, data: unknown): Event =>
  ({ type, data }) as Event;

/** What can be read, up to the first event of a newer program. */
function readable<Event extends EventShape>(
  stored: readonly StoredEvent[],
  reader: Pick<Decider<never, never, Event>, 'read'>,
): { events: FollowedBatch<Event>; unknown: UnknownEvent | null } {
  const events: Recorded<Event>[] = [];
  for (const event of stored) {
    try {
      events.push(recorded<Event>(event, reader));
    } catch (error) {
      if (error instanceof UnknownEvent) return { events, unknown: error };
      throw error;
    }
  }
  return { events, unknown: null };
}

/** How a trouble ends the following for good; null when it may pass. */
function endOf(error: unknown): FollowerState | null {
  if (error instanceof UnknownEvent) return 'log-newer';
  return error instanceof StoreTrouble && error.kind === 'foreign' ? 'log-older' : null;
}

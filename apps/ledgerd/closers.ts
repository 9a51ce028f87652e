import type { World } from '#world';
import type { Log } from './log.ts';

interface Closer {
  readonly what: string;
  readonly close: () => Promise<void>;
  readonly withinMs: number;
}

/** How long a part may take to end what it has begun, unless it says otherwise. */
const CLOSE_WITHIN_MS = 500;

/** What is open, so that it can be closed the other way round. Nothing that was accepted depends on it. */
export class Closers {
  readonly #world: World;
  readonly #log: Log;
  #open: Closer[] = [];

  constructor(world: World, log: Log) {
    this.#world = world;
    this.#log = log;
  }

  add(what: string, close: () => Promise<void>, withinMs = CLOSE_WITHIN_MS): void {
    this.#open.push({ what, close, withinMs });
  }

  /** Closes what is open, last first. Whoever does not end in time is left behind, as in a crash. */
  async closeAll(): Promise<void> {
    const closing = this.#open.toReversed();
    this.#open = [];
    for (const closer of closing) await this.#close(closer);
  }

  async #close({ what, close, withinMs }: Closer): Promise<void> {
    const patience = new AbortController();
    const closed = close().then(
      () => true,
      (error: unknown) => {
        this.#log.error({ err: error, what }, 'something did not close');
        return true;
      },
    );
    const late = this.#world.clock.sleep(withinMs, patience.signal).then(() => false);
    if (!(await Promise.race([closed, late]))) this.#log.warn({ what }, 'something did not close in time');
    patience.abort();
  }
}

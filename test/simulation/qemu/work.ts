import type { Chance } from '../chance.ts';
import type { Fate } from '../faults.ts';
import type { Scheduler, Timer } from '../scheduler.ts';
import type { Image } from './image.ts';
import type { Receiver } from './migrating.ts';

/** What a process of the simulated host lives in. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly faults: Fate;
  /** Wall time in ms since 1970; jumps. */
  readonly wallMs: () => number;
  /** Whether the disk that holds everything has no space left. */
  readonly isFull: () => boolean;
  /** A number that was never given before in this world. */
  readonly newSerial: () => number;
  /** The image that lies at a path. */
  readonly imageAt: (path: string) => Image | undefined;
  /** Who waits for a machine's memory at the path of a socket; null when nobody does. */
  readonly receiverAt: (path: string) => Receiver | null;
}

/** That much simulated time passes before the work goes on. */
export interface Pause {
  readonly ms: number;
  readonly what: string;
}

/**
 * Work that takes simulated time: a generator that rests at every point where a process may be killed. Whoever kills
 * it simply never resumes it, and what was done so far stays done.
 */
export type Work<T> = Generator<Pause, T, void>;

/** Measured medians vary by about this factor in both directions (reference: latencies). */
const SPREAD = 2;

/** Rests for about `ms`. */
export function* pause(chance: Chance, ms: number, what: string): Work<void> {
  yield { ms: ms * chance.betweenLog(1 / SPREAD, SPREAD), what };
}

export interface TaskHooks<T> {
  /** Called before each resumption; may drop the task, which then does not resume. */
  readonly before: () => void;
  /** Called with the result. What the work throws goes through to the scheduler: it is a bug of the model. */
  readonly done: (result: T) => void;
}

/** One piece of work under way. */
export class Task<T> {
  readonly #scheduler: Scheduler;
  readonly #name: string;
  readonly #work: Work<T>;
  readonly #hooks: TaskHooks<T>;
  #timer: Timer | null = null;
  #isDropped = false;

  constructor(scheduler: Scheduler, name: string, work: Work<T>, hooks: TaskHooks<T>) {
    this.#scheduler = scheduler;
    this.#name = name;
    this.#work = work;
    this.#hooks = hooks;
  }

  /** Runs to the first pause. */
  start(): void {
    this.#resume();
  }

  /** It never goes on. */
  drop(): void {
    this.#isDropped = true;
    this.#timer?.cancel();
  }

  #resume(): void {
    this.#hooks.before();
    if (this.#isDropped) return;
    const { done, value } = this.#work.next();
    if (done) return this.#hooks.done(value);
    this.#timer = this.#scheduler.after(value.ms, `${this.#name}: ${value.what}`, () => this.#resume());
  }
}

/** Does all of it at once, for tests and for those who need no time. */
export function finished<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

import type { OpenOperation } from '#ledger';
import type { World } from '#world';
import { START_DEADLINE_MS } from './expired.ts';

/** From then on an operation that has begun shows as `Overdue`. Only evidence ends it. */
const OVERDUE_AFTER_MS = 600_000;

const NO_OBSTACLE = 'no worker came to it in time';

/** For how long a worker has known the open operation. */
export class Meeting {
  readonly #clock: World['clock'];
  /** When it was met, on the monotonic clock, and whether it has begun by now. */
  #met: { readonly operationId: string; readonly at: number; hasBegun: boolean } | null = null;
  /** What was last in the way of it, in words. */
  obstacle = NO_OBSTACLE;

  constructor({ clock }: Pick<World, 'clock'>) {
    this.#clock = clock;
  }

  /** Whether it has waited for its machine for too long. It is met now, if it was not before. */
  isExpired({ id, started }: OpenOperation): boolean {
    if (this.#met?.operationId !== id) {
      this.#met = { operationId: id, at: this.#clock.monotonic(), hasBegun: started !== null };
      this.obstacle = NO_OBSTACLE;
    }
    return started === null && this.#sinceMs(this.#met.at) > START_DEADLINE_MS;
  }

  begins(): void {
    if (this.#met) this.#met.hasBegun = true;
  }

  /** Whether what has begun takes longer than it should, be it that nobody answers or that there is so much to copy. */
  get isOverdue(): boolean {
    return this.#met?.hasBegun === true && this.#sinceMs(this.#met.at) > OVERDUE_AFTER_MS;
  }

  forget(): void {
    this.#met = null;
    this.obstacle = NO_OBSTACLE;
  }

  #sinceMs(at: number): number {
    return this.#clock.monotonic() - at;
  }
}

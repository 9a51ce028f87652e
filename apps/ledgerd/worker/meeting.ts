import type { OpenOperation } from '#ledger';
import type { World } from '#world';

/** From then on an operation that has begun shows as `Overdue`. Only evidence ends it. */
const OVERDUE_AFTER_MS = 600_000;

/** For how long a worker has known the open operation. */
export class Meeting {
  readonly #clock: World['clock'];
  /** When it was met, on the monotonic clock, and whether it has begun by now. */
  #met: { readonly operationId: string; readonly at: number; hasBegun: boolean } | null = null;

  constructor({ clock }: Pick<World, 'clock'>) {
    this.#clock = clock;
  }

  /** Milliseconds since it was first met, which may be now. */
  lastsMs({ id, started }: OpenOperation): number {
    if (this.#met?.operationId !== id) {
      this.#met = { operationId: id, at: this.#clock.monotonic(), hasBegun: started !== null };
    }
    return this.#sinceMs(this.#met.at);
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
  }

  #sinceMs(at: number): number {
    return this.#clock.monotonic() - at;
  }
}

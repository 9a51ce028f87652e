import type { World } from '#world';

/** A wait that somebody may cut short. */
export class Nap {
  readonly #clock: World['clock'];
  readonly #signal: AbortSignal;
  #napping: AbortController | null = null;

  /** `signal` ends every one. */
  constructor({ world, signal }: { readonly world: World; readonly signal: AbortSignal }) {
    this.#clock = world.clock;
    this.#signal = signal;
  }

  async take(ms: number): Promise<void> {
    if (this.#signal.aborted) return;
    const napping = new AbortController();
    this.#napping = napping;
    const stop = (): void => napping.abort();
    this.#signal.addEventListener('abort', stop, { once: true });
    await this.#clock.sleep(ms, napping.signal);
    this.#signal.removeEventListener('abort', stop);
    this.#napping = null;
  }

  /** Does nothing when nobody waits. */
  end(): void {
    this.#napping?.abort('woken');
  }
}

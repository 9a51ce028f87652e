import type { Known } from './known.ts';

interface Kept<State> {
  readonly known: Known<State>;
  readonly sizeBytes: number;
}

/**
 * Keeps the states that were used last, up to a number of bytes, and always the very last one.
 *
 * Whoever works with a state takes it out and puts it back when the work went well. What is not put back is
 * read anew: no state survives a trouble in between.
 */
export class StateCache<State> {
  readonly #bytesMax: number;
  /** In the order of their last use: a Map keeps the order of insertion. */
  readonly #kept = new Map<string, Kept<State>>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  take(stream: string): Known<State> | null {
    const kept = this.#kept.get(stream);
    if (!kept) return null;
    this.#kept.delete(stream);
    this.#bytes -= kept.sizeBytes;
    return kept.known;
  }

  put(stream: string, known: Known<State>, sizeBytes: number): void {
    this.take(stream);
    this.#kept.set(stream, { known, sizeBytes });
    this.#bytes += sizeBytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#bytesMax || this.#kept.size === 1) return;
      this.take(oldest);
    }
  }

  /** Every state with its stream, the one used longest ago first. */
  *[Symbol.iterator](): Iterator<[string, Known<State>]> {
    for (const [stream, { known }] of this.#kept) yield [stream, known];
  }
}

import { createHash } from 'node:crypto';

/** Lines kept for the report of a failure when nobody asked for all. */
const LINES_KEPT = 4_000;

/** Everything that happened in one simulation, in order, and its fingerprint. */
export class Trace {
  lineCount = 0;
  readonly #hash = createHash('sha256');
  readonly #isWhole: boolean;
  #lines: string[] = [];

  /** Keeps all lines when `isWhole`, else the newest. */
  constructor(isWhole = false) {
    this.#isWhole = isWhole;
  }

  line(atMs: number, text: string): void {
    const line = `${atMs.toFixed(3).padStart(12)}  ${text}`;
    this.lineCount += 1;
    this.#hash.update(line).update('\n');
    this.#lines.push(line);
    if (!this.#isWhole && this.#lines.length > 2 * LINES_KEPT) this.#lines = this.#lines.slice(-LINES_KEPT);
  }

  /** The newest lines, oldest first. */
  last(count: number): string[] {
    return this.#lines.slice(-count);
  }

  /** SHA-256 of all lines so far, 64 hex digits. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}

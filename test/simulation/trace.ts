import { createHash } from 'node:crypto';

/** Lines kept for the report of a failure when nobody asked for all. */
const LINES_KEPT = 4_000;
/** Lines that are hashed together. */
const LINES_HASHED = 500;

/** Everything that happened in one simulation, in order, and its fingerprint. */
export class Trace {
  lineCount = 0;
  readonly #hash = createHash('sha256');
  readonly #isWhole: boolean;
  #lines: string[] = [];
  #unhashed: string[] = [];

  /** Keeps all lines when `isWhole`, else the newest. */
  constructor(isWhole = false) {
    this.#isWhole = isWhole;
  }

  line(atMs: number, text: string): void {
    const line = `${atMs.toFixed(3).padStart(12)}  ${text}`;
    this.lineCount += 1;
    this.#unhashed.push(line);
    if (this.#unhashed.length === LINES_HASHED) this.#hashThem();
    this.#lines.push(line);
    if (!this.#isWhole && this.#lines.length > 2 * LINES_KEPT) this.#lines = this.#lines.slice(-LINES_KEPT);
  }

  /** The newest lines, oldest first. */
  last(count: number): string[] {
    return this.#lines.slice(-count);
  }

  /** SHA-256 of all lines so far, 64 hex digits. */
  digest(): string {
    this.#hashThem();
    return this.#hash.copy().digest('hex');
  }

  #hashThem(): void {
    if (this.#unhashed.length > 0) this.#hash.update(`${this.#unhashed.join('\n')}\n`);
    this.#unhashed = [];
  }
}

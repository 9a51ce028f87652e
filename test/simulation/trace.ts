import { createHash } from 'node:crypto';

/** Lines kept for the report of a failure when nobody asked for all. */
const LINES_KEPT = 4_000;
/** Lines that are hashed together. */
const LINES_HASHED = 500;

interface Line {
  readonly atMs: number;
  readonly text: string;
}

/** Everything that happened in one simulation, in order, and its fingerprint. */
export class Trace {
  lineCount = 0;
  readonly #hash = createHash('sha256');
  readonly #isWhole: boolean;
  readonly #isHashed: boolean;
  #lines: Line[] = [];
  #unhashed: Line[] = [];

  /** Keeps all lines when `isWhole`, else the newest. `isHashed`: whether anybody will ask for the fingerprint. */
  constructor({ isWhole = false, isHashed = true }: { isWhole?: boolean; isHashed?: boolean } = {}) {
    this.#isWhole = isWhole;
    this.#isHashed = isHashed;
  }

  line(atMs: number, text: string): void {
    const line = { atMs, text };
    this.lineCount += 1;
    if (this.#isHashed) this.#unhashed.push(line);
    if (this.#unhashed.length === LINES_HASHED) this.#hashThem();
    this.#lines.push(line);
    if (!this.#isWhole && this.#lines.length > 2 * LINES_KEPT) this.#lines = this.#lines.slice(-LINES_KEPT);
  }

  /** The newest lines, oldest first. */
  last(count: number): string[] {
    return this.#lines.slice(-count).map(asText);
  }

  /** SHA-256 of all lines so far, 64 hex digits; '' when nobody was to ask for it. */
  digest(): string {
    if (!this.#isHashed) return '';
    this.#hashThem();
    return this.#hash.copy().digest('hex');
  }

  #hashThem(): void {
    if (this.#unhashed.length > 0) this.#hash.update(`${this.#unhashed.map(asText).join('\n')}\n`);
    this.#unhashed = [];
  }
}

/** Only of those that somebody reads: to write a number out takes longer than all else. */
const asText = ({ atMs, text }: Line): string => `${atMs.toFixed(3).padStart(12)}  ${text}`;

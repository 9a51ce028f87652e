/**
 * What was drawn for one world and happened in it, each under a name that the same seed gives again: what a caller
 * wished for, what an owner did, what went wrong. What is left out is drawn all the same, and does not happen.
 */
export class History {
  readonly #happened: string[] = [];
  readonly #without: ReadonlySet<string>;

  constructor(without: ReadonlySet<string> = new Set()) {
    this.#without = without;
  }

  /** Whether it is to happen now. */
  has(name: string): boolean {
    if (this.#without.has(name)) return false;
    this.#happened.push(name);
    return true;
  }

  /** Everything so far, in order. */
  get happened(): readonly string[] {
    return this.#happened;
  }
}

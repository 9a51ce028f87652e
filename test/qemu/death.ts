import { realWorld, type World } from '#world';

/** Workers one after the other, each of which may die at a chosen point: it never comes back from there. */
export class Death {
  passed: string[] = [];
  at: number | null = null;
  #reached: (() => void) | null = null;
  #workers = 0;
  readonly #children = new Set<Promise<unknown>>();

  /** The world of the next worker. Those before it do nothing any more, whatever they were doing side by side. */
  world(): World {
    this.#workers += 1;
    const worker = this.#workers;
    const real = realWorld(async (name) => {
      if (worker !== this.#workers) return never();
      this.passed.push(name);
      if (this.at === null || this.passed.length < this.at) return;
      this.#reached?.();
      return never();
    });
    return { ...real, run: (...asked) => this.#watched(real.run(...asked)) };
  }

  /** Resolves when what the dead one had started has ended: that is sooner than a new ledgerd is up. */
  async childless(): Promise<void> {
    await Promise.all(this.#children);
  }

  /** Resolves when it has died. */
  arm(at: number): Promise<void> {
    this.passed = [];
    this.at = at;
    return new Promise((resolve) => (this.#reached = resolve));
  }

  disarm(): void {
    this.passed = [];
    this.at = null;
  }

  #watched<T>(child: Promise<T>): Promise<T> {
    this.#children.add(child);
    return child.finally(() => this.#children.delete(child));
  }
}

const never = (): Promise<never> => new Promise<never>(() => undefined);

import type { Step } from '#ledger';
import { rfc3339, type World } from '#world';
import { troubleFrom } from './trouble.ts';

/** A report is one event; the transcript has the rest. */
export const STEPS_MAX = 500;

/** What was done in one operation, in order, for people who watch and for the event that ends it. */
export class Steps {
  readonly #clock: World['clock'];
  readonly #taken: Step[] = [];

  constructor(clock: World['clock']) {
    this.#clock = clock;
  }

  get taken(): Step[] {
    const shown = this.#taken.slice(0, STEPS_MAX);
    const last = this.#taken.at(-1);
    const moreCount = this.#taken.length - shown.length;
    return last && moreCount > 0 ? [...shown, { ...last, name: `the last of ${moreCount} more` }] : shown;
  }

  /** Does the work and remembers how it went. Throws what the work throws. */
  async take<T>(name: string, device: string | null, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now();
    try {
      const result = await work();
      this.#remember(name, device, startedAt, 'done');
      return result;
    } catch (error) {
      this.#remember(name, device, startedAt, troubleFrom(error)?.kind ?? 'unknown');
      throw error;
    }
  }

  /** Tells of something that is not done, and why. */
  skip(name: string, device: string | null): void {
    this.#remember(name, device, this.#clock.now(), 'skipped');
  }

  #remember(name: string, device: string | null, startedAt: number, state: Step['state']): void {
    this.#taken.push({
      name,
      ...(device !== null && { device }),
      state,
      startedAt: rfc3339(startedAt),
      endedAt: rfc3339(this.#clock.now()),
    });
  }
}

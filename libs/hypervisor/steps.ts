import type { Step } from '#ledger';
import { rfc3339, type World } from '#world';
import { troubleFrom } from './trouble.ts';

/** What was done in one operation, in order, for people who watch and for the event that ends it. */
export class Steps {
  readonly #clock: World['clock'];
  readonly #taken: Step[] = [];

  constructor(clock: World['clock']) {
    this.#clock = clock;
  }

  get taken(): Step[] {
    return [...this.#taken];
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

import { StoreTrouble } from './store.ts';

/** Commands that may wait for their turn on one stream. */
export const COMMANDS_WAITING_MAX = 1_000;

interface Lane {
  /** Settles when everything in the lane is done. Never rejects. */
  tail: Promise<void>;
  waiting: number;
}

/** Lets work on one stream go one by one, and work on different streams side by side. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();

  /** Throws a `StoreTrouble` of kind `unavailable` when too much waits in the lane already. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(name) ?? { tail: Promise.resolve(), waiting: 0 };
    if (lane.waiting >= COMMANDS_WAITING_MAX) {
      throw new StoreTrouble('unavailable', `${COMMANDS_WAITING_MAX} commands wait for ${name} already`);
    }
    this.#lanes.set(name, lane);
    lane.waiting += 1;
    const done = lane.tail.then(work);
    const leave = (): void => {
      lane.waiting -= 1;
      if (lane.waiting === 0) this.#lanes.delete(name);
    };
    lane.tail = done.then(leave, leave);
    return await done;
  }

  /** Resolves when all that waits now is done. */
  async idle(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.tail));
  }
}

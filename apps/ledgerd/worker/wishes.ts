import { Refusal } from '#ledger';

/** Those who wait to have something done while nobody works on one VM. */
export const WISHES_MAX = 32;

interface Wish {
  /** Does it, and tells whoever wished. Never rejects. */
  readonly grant: () => Promise<void>;
  readonly refuse: (why: unknown) => void;
}

/** What is wished for of one VM and not done yet: looks, and repairs. Whoever wishes is always answered. */
export class Wishes {
  #waiting: Wish[] = [];

  /** @throws {Refusal} `host-unreachable` when too many wait, and whatever the wish is refused with */
  add<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length === WISHES_MAX) return Promise.reject(tooMany());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ grant: () => work().then(resolve, reject), refuse: reject });
    });
  }

  /** Those that wait now; who takes them answers them. */
  take(): Wish[] {
    return this.#waiting.splice(0);
  }

  refuse(why: unknown): void {
    for (const { refuse } of this.take()) refuse(why);
  }
}

const tooMany = (): Refusal =>
  new Refusal(
    'host-unreachable',
    `${WISHES_MAX} others wait to have this VM looked at; ask again in a moment`,
  );

/** What is answered to wishes that nobody here will grant any more. */
export const stopping = (): Refusal => new Refusal('host-unreachable', 'this worker is stopping');

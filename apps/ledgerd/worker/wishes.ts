import type { Asked, Handled } from '#event-store';
import { Refusal, type VmEvent } from '#ledger';

/** Those who wait to have one VM looked at. Each is given a look of its own. */
export const WISHES_MAX = 32;

/** Somebody wants to know whether the VM is what the ledger believes. */
interface Wish {
  readonly asked: Asked;
  readonly resolve: (handled: Handled<VmEvent>) => void;
  readonly reject: (error: unknown) => void;
}

/** What is wished for of one VM and not looked for yet. Whoever wishes is always answered. */
export class Wishes {
  #waiting: Wish[] = [];

  /** @throws {Refusal} `host-unreachable` when too many wait for the same, and whatever the wish is refused with */
  add(asked: Asked): Promise<Handled<VmEvent>> {
    if (this.#waiting.length === WISHES_MAX) return Promise.reject(tooMany());
    return new Promise((resolve, reject) => this.#waiting.push({ asked, resolve, reject }));
  }

  /** Those that wait now; who takes them answers them. */
  take(): Wish[] {
    return this.#waiting.splice(0);
  }

  refuse(why: Refusal): void {
    for (const { reject } of this.take()) reject(why);
  }
}

const tooMany = (): Refusal =>
  new Refusal(
    'host-unreachable',
    `${WISHES_MAX} others wait to have this VM looked at; ask again in a moment`,
  );

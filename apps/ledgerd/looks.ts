import type { Hypervisor } from '#hypervisor';
import { Refusal } from '#ledger';
import type { World } from '#world';
import { Places } from './places.ts';

/**
 * Machines looked at at the same time because somebody wants to know, operations apart: each is one session and a few
 * processes of qemu-img. The patrol looks at one after the other, so it never has more than one of the places.
 */
export const LOOKS_AT_ONCE_MAX = 32;
/** Those that wait for one of the places, and for how long. Whoever comes later is told to come again. */
export const LOOKS_WAITING_MAX = 64;
const LOOK_WAIT_MAX_MS = 5_000;

/**
 * The same hypervisor, with a bound on how many look through it. Operations are not bounded here, and wait for no look.
 * Every look is refused `host-unreachable`, which may be tried again, when too many are under way.
 */
export function boundedLooks(hypervisor: Hypervisor, { clock }: Pick<World, 'clock'>): Hypervisor {
  const places = new Places(LOOKS_AT_ONCE_MAX);
  let lookersCount = 0; // Those that wait, too.

  async function inTurn<T>(look: () => Promise<T>): Promise<T> {
    if (lookersCount === LOOKS_AT_ONCE_MAX + LOOKS_WAITING_MAX) throw new TooManyLooks();
    lookersCount += 1;
    try {
      const leave = await turn();
      try {
        return await look();
      } finally {
        leave();
      }
    } finally {
      lookersCount -= 1;
    }
  }

  async function turn(): Promise<() => void> {
    const patience = new AbortController();
    const place = places.take();
    const leave = await Promise.race([
      place,
      clock.sleep(LOOK_WAIT_MAX_MS, patience.signal).then(() => null),
    ]);
    patience.abort('over');
    if (leave) return leave;
    void place.then((late) => late()); // Its turn comes when nobody wants it any more.
    throw new TooManyLooks();
  }

  return {
    ...hypervisor,
    discover: (asked) => inTurn(() => hypervisor.discover(asked)),
    status: (vm) => inTurn(() => hypervisor.status(vm)),
    plan: (vm, operation) => inTurn(() => hypervisor.plan(vm, operation)),
    survey: (vm) => inTurn(() => hypervisor.survey(vm)),
    removeOrphans: (vm, orphans) => inTurn(() => hypervisor.removeOrphans(vm, orphans)),
  };
}

/** Nobody has looked. Says nothing of the machine: whoever takes no answer for an answer must not take this for one. */
export class TooManyLooks extends Refusal {
  constructor() {
    super('host-unreachable', 'too many machines are being looked at; ask again in a moment');
  }
}

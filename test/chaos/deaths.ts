import type { Chance } from '../simulation/chance.ts';
import type { ChaosKind } from './kinds.ts';
import type { Death, Rehearsed } from './round.ts';

/**
 * Every death there can be in a request that passes these points: each at the first and at the last time it is passed.
 * In an order that another run has as well.
 */
export const deathsOf = (kind: ChaosKind, { passed }: Rehearsed): Death[] =>
  [...passed]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .flatMap(([point, count]) =>
      (['ledgerd', 'qemu'] as const).flatMap((victim) =>
        [...new Set([1, count])].map((nth) => ({ kind, victim, when: { point, nth } })),
      ),
    );

/** An operation may be slower than it was when nobody died. */
const LONGER = 1.2;

/** So many kills of QEMU at random moments of these requests, of each as often. */
export const randomDeaths = (
  rehearsals: readonly (readonly [ChaosKind, Rehearsed])[],
  count: number,
  chance: Chance,
): Death[] =>
  rehearsals.flatMap(([kind, { tookMs }], index) =>
    Array.from({ length: Math.floor((count + index) / rehearsals.length) }, () => ({
      ...{ kind, victim: 'qemu' as const },
      when: { afterMs: chance.between(0, tookMs * LONGER) },
    })),
  );

/** So many of them, by chance. */
export const drawn = <T>(all: readonly T[], count: number, chance: Chance): T[] =>
  all
    .map((one) => ({ one, rank: chance.next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ one }) => one);

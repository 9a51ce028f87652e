import type { ChaosKind } from './kinds.ts';
import type { Death } from './round.ts';

/** Every death there can be in a request that passes these points: each at the first and at the last time it is passed. */
export const deathsOf = (kind: ChaosKind, passed: ReadonlyMap<string, number>): Death[] =>
  [...passed].flatMap(([point, count]) =>
    (['ledgerd', 'qemu'] as const).flatMap((victim) =>
      [...new Set([1, count])].map((nth) => ({ kind, victim, point, nth })),
    ),
  );

/** So many of them, by chance. */
export const drawn = <T>(all: readonly T[], count: number): T[] =>
  all
    .map((one) => ({ one, rank: Math.random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ one }) => one);

import type { DataOf } from './events.ts';
import type { Leftover } from './shapes.ts';

/** Something of an operation is left that could be neither undone nor finished. */
export interface Hold {
  readonly operationId: string;
  readonly reason: string;
  readonly message: string;
  readonly leftovers: readonly Leftover[];
  /** A load ended half-way: the disks may stand at different snapshots, even when nothing of ours is left. */
  readonly isTorn: boolean;
}

// How a hold begins, changes and ends, said once: for `evolve`, and for everybody who shows it.

/** After a failure that is held. A held VM takes loads, which may fail too: what was left before stays named. */
export function heldBy(
  failure: DataOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>,
  isLoad: boolean,
  earlier: Hold | null,
): Hold {
  const { operationId, reason, message } = failure;
  const leftovers = [...(earlier?.leftovers ?? []), ...failure.leftovers].filter(isFirstOfItsKind);
  return { operationId, reason, message, leftovers, isTorn: isLoad };
}

/** After a load: every disk is whole again, and what was left is still there. */
export const heldAfterLoad = (hold: Hold | null): Hold | null => hold && orLifted({ ...hold, isTorn: false });

/** After something that was left has gone: the disks are as torn as they were. */
export const heldAfterRemoval = (hold: Hold | null, gone: Omit<Leftover, 'why'>): Hold | null =>
  hold && orLifted({ ...hold, leftovers: hold.leftovers.filter((left) => !isSameLeftover(left, gone)) });

const orLifted = (hold: Hold): Hold | null => (hold.leftovers.length === 0 && !hold.isTorn ? null : hold);

/** Whether both name the same thing in the same place. */
export const isSameLeftover = (one: Omit<Leftover, 'why'>, other: Omit<Leftover, 'why'>): boolean =>
  one.device === other.device && one.file === other.file && one.tag === other.tag;

const isFirstOfItsKind = (left: Leftover, at: number, all: readonly Leftover[]): boolean =>
  all.findIndex((other) => isSameLeftover(other, left)) === at;

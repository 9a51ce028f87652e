/** The children of nobody. The children of snapshot n are list n. */
export const ROOTS = 0;
/** Those that live and are not retired. */
export const USED = -1;
export const RETIRED = -2;
/** What loads have saved of the present, while it lives. On no other of these lists, and counted nowhere. */
export const PINS = -3;

/** A list as it is now. */
export interface Roll {
  /** The version its epoch began with; -1 when nobody was ever on it. */
  epoch: number;
  /** The last version that changed it, as far as is remembered. */
  changedAt: number;
  readonly members: Set<number>;
  misses: number;
  /** The highest number in the epoch, still a member or not. */
  last: number;
}

/** A list that nobody is on. */
export const emptyRoll = (): Roll => ({
  epoch: -1,
  changedAt: -1,
  members: new Set(),
  misses: 0,
  last: 0,
});

/** Stands for an empty roll until somebody is put on it: most snapshots never have a child. */
export const NOBODY_YET: Roll = emptyRoll();

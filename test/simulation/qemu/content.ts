/**
 * What a disk holds, a few blocks of it standing for all: each is the instant at which the guest wrote it, 0 when it
 * never did. In a file a block may be missing: then it is read from the file below.
 */
export type Content = readonly number[];

export const BLOCKS = 3;
/** Not in this file. */
export const HOLE = -1;

export const blank = (): number[] => Array.from({ length: BLOCKS }, () => 0);
export const nothing = (): number[] => Array.from({ length: BLOCKS }, () => HOLE);

/** What is read through `own` when `below` lies under it. */
export const over = (own: Content, below: Content): number[] =>
  own.map((value, block) => (value === HOLE ? (below[block] ?? 0) : value));

export const isSame = (one: Content, other: Content): boolean =>
  one.every((value, block) => value === other[block]);

/** What the guest's memory remembers of the world: which instant it was, and what was on each disk. */
export interface SavedMemory {
  readonly serial: number;
  readonly instant: number;
  /** By device. */
  readonly view: ReadonlyMap<string, Content>;
  readonly isFrozen: boolean;
}

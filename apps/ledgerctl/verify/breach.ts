/** The invariants of ARCHITECTURE.md and docs/operations.md that can be seen from outside. */
export const INVARIANTS = {
  I1: 'a complete snapshot is on every disk it names',
  I2: 'nothing of ours is on a disk that the log does not know',
  I3: 'every accepted request ends in exactly one terminal event',
  I4: 'the lineage is a forest',
  I5: 'there is at most one current snapshot, and it exists',
  I6: 'the parent is what was current when the request was recorded',
  I7: 'operations of one VM never overlap',
  I9: 'versions are gapless and never reused, positions only increase',
  I10: 'the hash chain verifies',
  I11: 'the views are what the log says',
  I12: 'an idempotency key stands for one request',
  I14: 'images have no errors',
  I15: 'a delete removes exactly the snapshots that it has named',
  I16: 'a name means at most one live snapshot, an id never another one',
  I18: 'the backing chains are those of the log',
  I19: 'what is reported done was begun in the log first',
  I20: 'times of a stream never go back',
} as const;
export type Invariant = keyof typeof INVARIANTS;

/** Somewhere an invariant does not hold. */
export interface Breach {
  readonly invariant: Invariant;
  /** Where, and what stands there instead. */
  readonly words: string;
}

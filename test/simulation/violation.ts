/** Something happened that must never happen. The invariants are numbered as in DESIGN §10. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: string;
  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

/** Throws a `Violation` unless the claim holds. */
export function must(claim: boolean, invariant: string, message: () => string): asserts claim {
  if (!claim) throw new Violation(invariant, message());
}

import { type Breach, type Invariant, INVARIANTS } from './breach.ts';

/** Breaches of one invariant, and reasons why not all was looked at, that are told in words; the rest is counted. */
const WORDS_MAX = 100;

/** What came of one invariant. */
export interface Check {
  readonly invariant: Invariant;
  /** The invariant in words. */
  readonly holds: string;
  /** How much was looked at, in words; '' when nothing was. */
  readonly looked: string;
  /** Why some of it, or all, could not be looked at. */
  readonly skipped: readonly string[];
  /** All of these reasons, also those that are not told. */
  readonly skippedCount: number;
  readonly breaches: readonly string[];
  /** All of them, also those that are not told. */
  readonly breachesCount: number;
}

interface Draft {
  looked: string;
  readonly skipped: string[];
  skippedCount: number;
  readonly breaches: string[];
  breachesCount: number;
}

const NOTHING = { looked: '', skippedCount: 0, breachesCount: 0 } as const;

/** Collects what an audit finds, invariant by invariant. */
export class Report {
  readonly #drafts = new Map<Invariant, Draft>();

  /** `how much` was looked at for each of them. */
  looked(invariants: readonly Invariant[], howMuch: string): void {
    for (const invariant of invariants) this.#draft(invariant).looked = howMuch;
  }

  skipped(invariants: readonly Invariant[], why: string): void {
    for (const draft of invariants.map((invariant) => this.#draft(invariant))) {
      draft.skippedCount += 1;
      if (draft.skipped.length < WORDS_MAX) draft.skipped.push(why);
    }
  }

  breach({ invariant, words }: Breach): void {
    const draft = this.#draft(invariant);
    draft.breachesCount += 1;
    if (draft.breaches.length < WORDS_MAX) draft.breaches.push(words);
  }

  /** In the order in which the invariants are counted. */
  checks(): Check[] {
    const known = Object.entries(INVARIANTS) as [Invariant, string][];
    return known.flatMap(([invariant, holds]) => {
      const draft = this.#drafts.get(invariant);
      return draft ? [{ invariant, holds, ...draft }] : [];
    });
  }

  #draft(invariant: Invariant): Draft {
    const draft = this.#drafts.get(invariant) ?? { ...NOTHING, skipped: [], breaches: [] };
    this.#drafts.set(invariant, draft);
    return draft;
  }
}

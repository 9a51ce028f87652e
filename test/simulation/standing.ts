import type { Known } from './known.ts';
import { must } from './violation.ts';

/** What the ledger says of a VM when asked. */
export interface Standing {
  readonly currentId: string | null;
  /** Each as `placeInWords` tells it. */
  readonly places: readonly string[];
  /** What holds the VM, as `<file> <tag>`; null: not told. */
  readonly leftovers: readonly string[] | null;
  readonly isHeld: boolean;
}

/** What an operation left that could be neither undone nor finished. */
export interface Hold {
  /** Disks that a load has torn are whole again after another load, and by nothing else. */
  readonly isTorn: boolean;
  readonly leftovers: ReadonlySet<string>;
}

/** What is left of an earlier failure is still there. */
export const heldBy = (leftovers: readonly string[], isTorn: boolean, earlier: Hold | null): Hold => ({
  isTorn,
  leftovers: new Set([...(earlier?.leftovers ?? []), ...leftovers]),
});

export const heldAfterLoad = (hold: Hold | null): Hold | null => hold && orLifted({ ...hold, isTorn: false });

/** After one of them has gone. */
export const heldWithout = (gone: string, hold: Hold | null): Hold | null =>
  hold && orLifted({ ...hold, leftovers: new Set([...hold.leftovers].filter((left) => left !== gone)) });

const orLifted = (hold: Hold): Hold | null => (hold.leftovers.size === 0 && !hold.isTorn ? null : hold);

/** A snapshot, how it stands, and what it descends from. */
type Placed = Pick<Known, 'status' | 'parentId'>;

/** The same in words. */
export const placeInWords = (
  id: string,
  { status, parentId }: { status: string; parentId: string | null },
): string => `${id} (${status}, of ${parentId ?? 'nobody'})`;

/** What was kept beside it. */
interface Kept {
  readonly current: string | null;
  readonly snapshots: ReadonlyMap<string, Placed>;
  readonly hold: Hold | null;
}

/** Throws a `Violation` where the ledger has made something else of the log. */
export function requireStanding(
  { currentId, places, leftovers, isHeld }: Standing,
  { current, snapshots, hold }: Kept,
): void {
  must(currentId === current, 'I11', () => `the ledger has ${currentId} as current, not ${current}`);
  const known = [...snapshots].map(([id, placed]) => placeInWords(id, placed)).toSorted();
  const folded = places.toSorted();
  must(known.join() === folded.join(), 'I11', () => {
    return `the ledger knows the snapshots ${folded.join(', ')}, not ${known.join(', ')}`;
  });
  const left = [...(hold?.leftovers ?? [])].toSorted().join(', ');
  const named = leftovers?.toSorted().join(', ') ?? left;
  must(
    named === left,
    'rule 6',
    () => `the ledger knows of these that are left: ${named}; and there are ${left}`,
  );
  must(isHeld || !hold?.isTorn, 'rule 6', () => 'disks are torn, and the ledger holds the machine no longer');
}

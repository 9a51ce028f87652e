import { must } from './violation.ts';

/** What the ledger says of a VM when asked. */
export interface Standing {
  readonly currentId: string | null;
  readonly snapshotIds: readonly string[];
  readonly isHeld: boolean;
}

/** What an operation left that could be neither undone nor finished. */
export interface Hold {
  /** Disks that a load has torn are whole again after another load, and by nothing else. */
  readonly isTorn: boolean;
  readonly leftovers: Set<string>;
}

/** What was kept beside it. */
interface Kept {
  readonly current: string | null;
  readonly snapshots: ReadonlyMap<string, unknown>;
  readonly hold: Hold | null;
}

/** Throws a `Violation` where the ledger has made something else of the log. */
export function requireStanding(
  { currentId, snapshotIds, isHeld }: Standing,
  { current, snapshots, hold }: Kept,
): void {
  must(currentId === current, 'I11', () => `the ledger has ${currentId} as current, not ${current}`);
  const known = [...snapshots.keys()].toSorted().join(' ');
  const folded = [...snapshotIds].toSorted().join(' ');
  must(known === folded, 'I11', () => `the ledger knows the snapshots ${folded}, not ${known}`);
  must(isHeld || !hold?.isTorn, 'rule 6', () => 'disks are torn, and the ledger holds the machine no longer');
}

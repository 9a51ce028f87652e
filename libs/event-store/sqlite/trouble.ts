import { StoreTrouble, type StoreTroubleKind } from '../store.ts';

/** SQLite's result codes (sqlite.org/rescode.html) that an operator can do something about. */
const KINDS: Readonly<Record<number, StoreTroubleKind>> = { 11: 'damaged', 13: 'full', 26: 'foreign' };

const ADVICE: Readonly<Record<StoreTroubleKind, string>> = {
  locked: 'another process has it open',
  damaged: 'the file is damaged and was left as it is: restore a backup',
  foreign: 'the file is not an event log of Snapledger and was left as it is',
  newer: 'the file was written by a newer version of Snapledger and was left as it is',
  full: 'there is no space left, nothing was recorded: free some and ask again',
  unavailable: 'the file cannot be used now',
};

/** The low byte is the code, the rest says more about it. */
const CODE_MASK = 0xff;

/** SQLite's result code of an error; null when it is not SQLite's. */
export function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode & CODE_MASK;
}

/** A trouble with a file, in words for its operator. */
export const trouble = (kind: StoreTroubleKind, file: string, why: string): StoreTrouble =>
  new StoreTrouble(kind, `${file}: ${ADVICE[kind]} (${why})`);

/** What SQLite, or the file system, threw, as a `StoreTrouble`; anything else is a bug and stays what it is. */
export function translated(error: unknown, file: string, effect: StoreTrouble['effect'] = 'none'): unknown {
  const kind = kindOf(error);
  if (kind === null || !(error instanceof Error)) return error;
  return new StoreTrouble(kind, `${file}: ${ADVICE[kind]} (${error.message})`, { effect, cause: error });
}

/** Null: neither SQLite nor the file system said it. */
function kindOf(error: unknown): StoreTroubleKind | null {
  const code = sqliteCode(error);
  if (code !== null) return KINDS[code] ?? 'unavailable';
  if (!(error instanceof Error) || !('syscall' in error)) return null;
  return 'code' in error && error.code === 'ENOSPC' ? 'full' : 'unavailable';
}

/** Does something with a file; what SQLite or the file system throws becomes a `StoreTrouble`. */
export function told<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translated(error, file);
  }
}

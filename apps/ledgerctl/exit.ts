/**
 * What the process says when it ends. Scripts decide by these numbers: they never change.
 * `refused`: the ledger said no and nothing changed. `busy`: the same may succeed later by itself.
 * `undone`: it was tried, failed, and everything is as before. `unknown`: a person has to look.
 */
export const EXIT = { ok: 0, error: 1, usage: 2, refused: 3, busy: 4, undone: 5, unknown: 6 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

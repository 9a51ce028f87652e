/** The most there is of each in one world. */
export interface Size {
  readonly vms: number;
  readonly callers: number;
  /** What a caller asks for, and how much more when layers are to come first. */
  readonly wishes: number;
  readonly layers: number;
  /** What an owner does. */
  readonly acts: number;
  /** How often ledgerd is told to end. */
  readonly stops: number;
}

/** Most worlds are short: little is needed for most of what goes wrong, and so there can be more of them. */
export const SHORT_SHARE = 0.85;
export const SHORT: Size = { vms: 1, callers: 1, wishes: 1, layers: 1, acts: 2, stops: 1 };
export const LONG: Size = { vms: 2, callers: 2, wishes: 5, layers: 3, acts: 5, stops: 2 };

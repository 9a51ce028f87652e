/** The folded state of one stream at one version, as bytes. */
export interface PersistedState {
  readonly version: number;
  /** Of the event at that version: a state of another log does not fit. */
  readonly hash: string;
  /** `Decider.version` of the program that folded it. */
  readonly evolveVersion: number;
  readonly bytes: Uint8Array;
}

/**
 * A disposable cache of folded states: it saves time and never knows anything that the log does not.
 * Trouble with it is reported, and otherwise means that there is no state.
 */
export interface StateStore {
  /** Null when there is none, or when it is not what was put. */
  get(stream: string): Promise<PersistedState | null>;
  /** Replaces the stream's state. Need not survive anything. */
  put(stream: string, state: PersistedState): Promise<void>;
  close(): Promise<void>;
}

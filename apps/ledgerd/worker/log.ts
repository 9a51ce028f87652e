/** What the worker says to those who run it. */
export interface WorkerLog {
  /** An operation began or ended, or waits for something. */
  told(message: string, facts: Readonly<Record<string, string | number>>): void;
  /** Something that should not happen, and is tried again. */
  trouble(message: string, error: unknown, facts?: Readonly<Record<string, string | number>>): void;
}

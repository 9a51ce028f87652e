import { Refusal } from '#ledger';

/** What the worker says to those who run it. */
export interface WorkerLog {
  /** An operation began or ended, or waits for something. */
  told(message: string, facts: Readonly<Record<string, string | number>>): void;
  /** Something that should not happen, and is tried again. */
  trouble(message: string, error: unknown, facts?: Readonly<Record<string, string | number>>): void;
}

/** Of a look that nobody waits for: that it cannot be had now is no trouble of ours. */
export function tellUnseen(log: WorkerLog, vmId: string, error: unknown): void {
  const said = 'a VM could not be looked at';
  if (error instanceof Refusal) log.told(said, { vmId, why: error.message });
  else log.trouble(said, error, { vmId });
}

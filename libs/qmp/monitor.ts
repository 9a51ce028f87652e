import type { TranscriptEntry } from './transcript.ts';

/** What a command is told, in the wire's own names. */
export type QmpArguments = Readonly<Record<string, unknown>>;

/** A job command: its `job-id` starts with a letter and holds letters, digits, `-`, `.` and `_` only. */
export type JobArguments = QmpArguments & { readonly 'job-id': string };

export interface QmpVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

export interface QmpEvent {
  /** E.g. `JOB_STATUS_CHANGE`. */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Events of chosen names, from the moment it was opened until it is closed. For one reader. */
export interface QmpListener {
  /** The oldest event not yet taken. Null when none came within `timeoutMs`, or none can come any more. */
  next(timeoutMs: number): Promise<QmpEvent | null>;
  /** The oldest event not yet taken, of those that have come. What QEMU told before an answer came before that. */
  heard(): QmpEvent | null;
  /** How many events were thrown away, oldest first, because nobody took them. */
  readonly droppedCount: number;
  close(): void;
}

export interface ExecuteOptions {
  /** How long to wait for the answer. After that the outcome is unknown and the session still open. */
  readonly timeoutMs?: number;
}

export interface JobOptions {
  /** How long the command and its job may take together. */
  readonly timeoutMs?: number;
  /** Called with 0 to 100 at every look at the job. */
  readonly onProgress?: (percent: number) => void;
  /**
   * A job that waits to be told to end, because it copies for ever (a commit of the active layer) or because it was
   * asked to (`auto-finalize: false`), is told so when this has resolved. What it throws is thrown on, and the job
   * waits on.
   */
  readonly whenReady?: () => Promise<void>;
  /**
   * For a job that QEMU does before it answers anything else, as it does those of snapshots: how it went is asked right
   * behind the command, and again when that was too early. Called with each of these questions: what is asked in it goes
   * out with the question and is answered later, so the last time it is answered as things are after the job. What it
   * throws is thrown on, and the job stays in QEMU's list.
   */
  readonly behind?: () => Promise<void>;
  /**
   * A job that has ended well, and that does not dismiss itself, stays in QEMU's list until this has resolved. What it
   * throws is thrown on.
   */
  readonly whenDone?: () => Promise<void>;
}

/** One negotiated QMP session. */
export interface Monitor {
  /** From the greeting, e.g. 7.2.22. */
  readonly version: QmpVersion;
  readonly isOpen: boolean;

  /**
   * Sends one command and resolves with its `return`. Commands may be sent without waiting for the ones before.
   * Throws `QmpRefused` (QEMU said no), `QmpUnknown` (nobody knows) or `MonitorTrouble` of kind `closed`
   * (the session was over before; nothing was sent).
   */
  execute(command: string, args?: QmpArguments, options?: ExecuteOptions): Promise<unknown>;

  /** Opens a listener. Do so before the command that causes the events: QEMU never repeats one. */
  listen(names: readonly string[]): QmpListener;

  /**
   * Sends a command that makes a job, waits until the job has concluded, reads its error, then dismisses it without
   * waiting for that: QEMU does it before anything that it is sent next.
   * Throws as `execute` does; what the job itself says went wrong is a `QmpRefused` in the job's words.
   * How a block job ended that dismisses itself is taken from its events; of another such job nobody can tell.
   */
  runJob(command: string, args: JobArguments, options?: JobOptions): Promise<void>;

  /** The same for a job that somebody started before. */
  awaitJob(jobId: string, options?: JobOptions): Promise<void>;

  /** Calls `listener` once when the session ends, whoever ends it; at once when it is over already. */
  onClose(listener: () => void): void;

  /** Ends the session. Commands that wait for an answer end unknown. */
  close(): void;
}

export interface OpenOptions {
  /** How long to wait for the greeting, and then for the answer to `qmp_capabilities`. */
  readonly greetingTimeoutMs?: number;
  /** For commands that name no timeout of their own. */
  readonly commandTimeoutMs?: number;
  /** Is told everything that goes over the wire, in order. Must not throw. */
  readonly transcript?: (entry: TranscriptEntry) => void;
}

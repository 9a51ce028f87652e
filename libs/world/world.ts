/**
 * Everything outside the program, lent to it at the start.
 *
 * Whoever is not an adapter and not a `main.ts` touches time, chance, files, processes and sockets through a
 * `World` and nothing else. That is what lets one thread run the real code through simulated disasters. A crash
 * is a world whose promises never settle again, so nothing may rely on `finally` to be correct.
 */
export interface World {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly files: Files;
  readonly run: Run;
  readonly connect: Connect;
  /** Resolves in the next turn of the event loop, after input and output that is waiting. */
  readonly turn: () => Promise<void>;
  /** A named point at which the program may be made to die or to fail. Does nothing in the real world. */
  readonly fault: (name: string) => Promise<void>;
}

export interface Clock {
  /** Wall time in ms since 1970. May jump in both directions: never used to measure or to order. */
  now(): number;
  /** Milliseconds since some fixed moment. Only ever goes forward: for deadlines and durations. */
  monotonic(): number;
  /** Resolves after `ms`. Resolves at once when `signal` aborts: check the signal afterwards. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Ids {
  /** A new UUIDv7 in lower case. */
  uuid(): string;
}

export interface Random {
  /** Evenly spread over [0, 1). */
  next(): number;
}

export type FileKind = 'file' | 'directory' | 'socket' | 'symlink' | 'other';

export interface FileStat {
  readonly kind: FileKind;
  readonly sizeBytes: number;
  /** Device and inode: two paths with the same identity are one file. */
  readonly identity: string;
  readonly modifiedAt: number;
}

/** Paths are absolute. What is not there is `null` or `false`; every other trouble throws a `FileTrouble`. */
export interface Files {
  /** Follows symbolic links. */
  stat(path: string): Promise<FileStat | null>;
  /** The path without symbolic links and `..`; null when it does not exist. */
  realpath(path: string): Promise<string | null>;
  /** Adds to the end, creating the file when needed. Not synced. */
  append(path: string, text: string): Promise<void>;
  /** Creates the directory and those above it. */
  makeDirectory(path: string): Promise<void>;
  /** Names inside a directory; empty when it does not exist. */
  list(path: string): Promise<string[]>;
  /** Whether there was something to remove. */
  unlink(path: string): Promise<boolean>;
  /** Makes the directory's entries survive power loss. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes an unprivileged process may still write to the file system of `path`. */
  freeBytes(path: string): Promise<number>;
}

export interface RunOptions {
  /** After this long the child is killed and `Finished.code` is null. */
  readonly timeoutMs: number;
  readonly stdin?: string;
}

export interface Finished {
  /** The exit code; null when the child was killed or could not be started. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell. Never throws: a program that cannot start ends with `code: null`. */
export type Run = (program: string, args: readonly string[], options: RunOptions) => Promise<Finished>;

/** Opens a stream socket to a unix path. Throws `ConnectTrouble`. */
export type Connect = (path: string) => Promise<Connection>;

/** One open stream socket. What arrives before `onText` is set waits for it. */
export interface Connection {
  write(text: string): void;
  /** Called with whatever arrived, cut anywhere between two UTF-8 characters. */
  onText(listener: (text: string) => void): void;
  /** Called once, when the other side or an error has closed the connection, or after `close()`. */
  onClose(listener: () => void): void;
  close(): void;
}

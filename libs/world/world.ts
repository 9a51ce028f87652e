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
  readonly lock: TakeLock;
  readonly streams: Streams;
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
  /** When its content, its size or its names changed last, in ms since 1970. Unlike `modifiedAt` nobody can set it. */
  readonly changedAt: number;
}

/** Paths are absolute. What is not there is `null` or `false`; every other trouble throws a `FileTrouble`. */
export interface Files {
  /** Follows symbolic links. */
  stat(path: string): Promise<FileStat | null>;
  /** The path without symbolic links and `..`; null when it does not exist. */
  realpath(path: string): Promise<string | null>;
  /** The first so many bytes of a regular file, or as many as it has; null when there is no such file. */
  start(path: string, bytesMax: number): Promise<Uint8Array | null>;
  /** Adds to the end, creating the file when needed. Not synced. */
  append(path: string, text: string): Promise<void>;
  /** Creates an empty file; false when something bears the name already, be it a link that leads nowhere. */
  makeNew(path: string): Promise<boolean>;
  /**
   * Makes these bytes all that a file holds, creating it when needed; on disk for good when it resolves, but for its
   * name. Whoever dies meanwhile leaves a beginning of them.
   */
  fill(path: string, bytes: Uint8Array): Promise<void>;
  /** Creates the directory and those above it. */
  makeDirectory(path: string): Promise<void>;
  /** The same, and nobody but this user can enter it. */
  makePrivateDirectory(path: string): Promise<void>;
  /** Names inside a directory; empty when it does not exist. */
  list(path: string): Promise<string[]>;
  /** Whether there was something to remove. */
  unlink(path: string): Promise<boolean>;
  /** Gives a file another name in one step, taking the place of what bears it. Not synced. */
  rename(from: string, to: string): Promise<void>;
  /** Makes the directory's entries survive power loss. */
  syncDirectory(path: string): Promise<void>;
  /** Makes what was written into the file survive power loss, whoever wrote it. */
  syncFile(path: string): Promise<void>;
  /** Bytes an unprivileged process may still write to the file system of `path`. */
  freeBytes(path: string): Promise<number>;
}

export interface RunOptions {
  /** After this long the child is killed and `Finished.code` is null. */
  readonly timeoutMs: number;
  readonly stdin?: string;
  /** Besides what this process has in its own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The program starts others that live on, also when this process ends, and that may keep its output open. */
  readonly leavesOthersBehind?: boolean;
  /** Asked at the last moment: what would be begun too late is not, and `Finished.code` is null. */
  readonly isTooLate?: () => boolean;
}

export interface Finished {
  /** The exit code; null when the child was killed or could not be started. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell, which ends when we do. Never throws: a program that cannot start ends with `code: null`. */
export type Run = (program: string, args: readonly string[], options: RunOptions) => Promise<Finished>;

/** Opens a stream socket to a unix path. Throws `ConnectTrouble`. */
export type Connect = (path: string) => Promise<Connection>;

/** One open stream socket. What arrives before `onText` is set waits for it; a byte that is no UTF-8 becomes U+FFFD. */
export interface Connection {
  /** Text as UTF-8, or bytes as they are. */
  write(data: string | Uint8Array): void;
  /** Called with whatever arrived, cut anywhere between two UTF-8 characters. */
  onText(listener: (text: string) => void): void;
  /** Called once, when the other side or an error has closed the connection, or after `close()`. */
  onClose(listener: () => void): void;
  close(): void;
}

/**
 * Takes a lock that no other process of this computer has; null when somebody has it, be it this process. It is let go when
 * its process ends, however that ends, and not before: one that is stopped keeps it.
 */
export type TakeLock = (name: string) => Promise<Lock | null>;

export interface Lock {
  /** Lets somebody else have it. */
  release(): void;
}

/** A stream of bytes between a unix socket and a file. Nobody here looks into it. */
export interface Streams {
  /**
   * Listens at a unix path for one caller and writes what it sends into a new file, until it hangs up. Resolves as
   * soon as it listens. Throws `ConnectTrouble`, and `FileTrouble` when the file is there already.
   */
  receive(path: string, file: string, options: ReceiveOptions): Promise<Receiving>;
  /**
   * Sends a whole file to whoever listens at a unix path. Throws `FileTrouble`, and `ConnectTrouble` when nobody listens
   * or hangs up before the end: he may have taken all that he wanted.
   */
  send(file: string, path: string, options: SendOptions): Promise<void>;
  /** What a file holds by now. Throws `FileTrouble`. */
  measure(file: string): Promise<Measure>;
}

export interface ReceiveOptions {
  /** More is not written: the caller is hung up on. */
  readonly sizeBytesMax: number;
}

export interface SendOptions {
  /** After this long the listener is hung up on. */
  readonly timeoutMs: number;
}

/** How much there is, and its SHA-256 in hex. */
export interface Measure {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Somebody is being listened to, or will be. */
export interface Receiving {
  /**
   * All that came, once the caller has hung up: on disk for good, but for the file's name. Throws `FileTrouble` when it
   * could not be written, or after `close()`.
   */
  readonly received: Promise<Measure>;
  /** Hangs up and listens no more. What came stays in the file. */
  close(): void;
}

import { closeSync, fstatSync, openSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** How far ahead of SQLite the file is kept: some sixty commits of one append each. */
export const ROOM_BYTES = 1024 * 1024;

/** SQLite begins at the start of the file again before it has come this far. */
const WAL_BYTES_MAX = 64 * ROOM_BYTES;

/** Where there is less, it is left to those who need it. */
const FREE_BYTES_MIN = 4 * WAL_BYTES_MAX;

const ZEROS = Buffer.alloc(ROOM_BYTES);

/**
 * Room for SQLite's write-ahead log to grow into. A file that becomes longer with every commit makes the file system
 * put its new length on disk as well, which takes as long again as the commit's own sync. SQLite reads no further than
 * the last frame that belongs there, and zeros are none, so whatever becomes of this, the log is the same.
 */
export class WalRoom {
  readonly #file: string;
  #descriptor: number | null = null;
  #roomyBytes = 0;
  #isOver = false;

  constructor(database: string) {
    this.#file = `${database}-wal`;
  }

  /** To be called behind a commit, by the process that commits: when SQLite has come to the file's end, moves that on. */
  keep(): void {
    if (this.#isOver) return;
    try {
      this.#descriptor ??= openSync(this.#file, 'r+');
      const { size } = fstatSync(this.#descriptor);
      if (size === this.#roomyBytes) return;
      this.#isOver = size >= WAL_BYTES_MAX || this.#isShort();
      if (!this.#isOver) this.#roomyBytes = size + writeSync(this.#descriptor, ZEROS, 0, ROOM_BYTES, size);
    } catch {
      this.#isOver = true; // Without room a commit takes longer, and that is all.
    }
  }

  close(): void {
    this.#isOver = true;
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #isShort(): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.#file));
    return bavail * bsize < FREE_BYTES_MIN;
  }
}

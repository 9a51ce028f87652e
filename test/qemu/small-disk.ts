/* A file system that is soon full. Nobody but root may have one: a laptop skips, and says so. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PAGE_BYTES = 4_096;
const ROUNDS_MAX = 100_000;

export class SmallDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Null when this user may not mount one. Under CI that is an error. */
  static mount(sizeMb = 32): SmallDisk | null {
    const directory = mkdtempSync(join(tmpdir(), 'snapledger-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m`, 'none', directory], { stdio: 'ignore' });
      const disk = new SmallDisk(directory);
      process.once('exit', () => disk.unmount()); // For a test that failed before it could.
      return disk;
    } catch (error) {
      rmdirSync(directory);
      if (process.env['CI'] === 'true') throw new Error('CI must mount a small disk', { cause: error });
      console.warn('SKIPPED: what happens on a full disk is not tested: a tmpfs cannot be mounted here');
      return null;
    }
  }

  /** Leaves so many bytes free. */
  fill(freeBytes: number): void {
    const filler = openSync(this.#pathOf('filler'), 'w');
    const kept = openSync(this.#pathOf('kept'), 'w');
    if (freeBytes > 0) writeSync(kept, Buffer.alloc(freeBytes, 1));
    for (let round = 0; round < ROUNDS_MAX && hasRoom(filler); round += 1);
    closeSync(filler);
    closeSync(kept);
    rmSync(this.#pathOf('kept'));
  }

  /** Takes away what filled it. */
  empty(): void {
    rmSync(this.#pathOf('filler'), { force: true });
  }

  /** Takes away everything. */
  clear(): void {
    for (const name of readdirSync(this.directory)) rmSync(this.#pathOf(name), { recursive: true });
  }

  unmount(): void {
    if (!existsSync(this.directory)) return;
    execFileSync('umount', ['--lazy', this.directory]);
    rmdirSync(this.directory);
  }

  #pathOf(name: string): string {
    return join(this.directory, name);
  }
}

function hasRoom(file: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(PAGE_BYTES, 1)) > 0;
  } catch {
    return false; // Full, as it should be.
  }
}

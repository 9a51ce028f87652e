/* What can be wrong with the place where the ledger remembers, while ledgerd runs. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killedByCleanUp, makeDirectory } from '../qemu/rig.ts';
import type { SmallDisk } from '../qemu/small-disk.ts';
import type { Cause } from './causes.ts';

/** A directory for a ledgerd whose data lie on a small disk. */
export function rootOn(disk: SmallDisk): string {
  const root = makeDirectory();
  disk.clear();
  symlinkSync(disk.directory, join(root, 'data'));
  return root;
}

export const storeFull = (disk: SmallDisk): Cause => ({
  ...{ name: 'the store is full', isDeadly: false, isShared: true },
  begin: async () => disk.fill(0),
  end: async () => disk.empty(),
});

/** Somebody opens the log with a tool of his own, and does not let go. */
export function storeLocked(): Cause {
  let holder: ChildProcess | null = null;
  return {
    ...{ name: 'the store is locked', isDeadly: false, isShared: true },
    begin: async (_, { directory }) => {
      const file = join(directory, 'data/ledger.sqlite');
      const words = `new (require('node:sqlite').DatabaseSync)(process.argv[1]).exec('BEGIN IMMEDIATE');
        console.log('held'); setInterval(() => {}, 1000)`;
      const child = killedByCleanUp(
        spawn(process.execPath, ['-e', words, file], { stdio: ['ignore', 'pipe', 'inherit'] }),
      );
      holder = child;
      await once(child.stdout, 'data');
    },
    end: async () => {
      const gone = holder && once(holder, 'exit');
      holder?.kill('SIGKILL');
      await gone;
    },
  };
}

/**
 * Nothing can be written in the data directory any more, by whoever has it open already either. But for what SQLite has in
 * its memory: the kernel ends a process, with SIGBUS, that writes there when the file behind it cannot be written.
 */
export const storeReadOnly: Cause = {
  ...{ name: 'the store is read-only', isDeadly: false, isShared: true },
  begin: async (_, { directory }) => change('+i', join(directory, 'data')),
  end: async (_, { directory }) => change('-i', join(directory, 'data')),
};

function change(flag: '+i' | '-i', directory: string): void {
  const files = readdirSync(directory).filter((name) => /sqlite/.test(name) && !name.endsWith('-shm'));
  execFileSync('chattr', [flag, directory, ...files.map((name) => join(directory, name))], { stdio: 'pipe' });
}

/** Whether the file system below the temporary directory can be made so. */
export function canBeReadOnly(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-read-only-'));
  const open = openSync(join(directory, 'a.sqlite'), 'w');
  try {
    change('+i', directory);
    writeSync(open, 'x');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') return true;
  } finally {
    closeSync(open);
    spawnSync('chattr', ['-R', '-i', directory]);
    rmSync(directory, { recursive: true });
  }
  console.warn('SKIPPED: a store that becomes read-only is not tested: no file here can be made immutable');
  return false;
}

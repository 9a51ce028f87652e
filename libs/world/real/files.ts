import { chmod, mkdir, open, readdir, realpath, rename, stat, statfs, unlink } from 'node:fs/promises';
import { appendFileSync, constants, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { FileTrouble } from '../trouble.ts';
import type { FileKind, Files } from '../world.ts';

const MISSING = new Set(['ENOENT', 'ENOTDIR']);

export const realFiles: Files = {
  stat: (path) =>
    orWhenMissing(path, null, async () => {
      const found = await stat(path);
      return {
        kind: kindOf(found),
        sizeBytes: found.size,
        identity: `${found.dev}:${found.ino}`,
        modifiedAt: found.mtimeMs,
        changedAt: found.ctimeMs,
      };
    }),
  realpath: (path) => orWhenMissing(path, null, () => realpath(path)),
  start: (path, bytesMax) => orWhenMissing(path, null, () => startOf(path, bytesMax)),
  append: (path, text) => told(path, async () => appendFileSync(path, text)), // Three waits for a thread cost more.
  makeNew: (path) => told(path, () => makeNew(path)),
  fill: (path, bytes) => told(path, () => fill(path, bytes)),
  makeDirectory: (path) => told(path, () => makeDirectory(path)),
  makePrivateDirectory: (path) =>
    told(path, async () => {
      await makeDirectory(path);
      await chmod(path, 0o700); // It may have been there.
    }),
  list: (path) => orWhenMissing(path, [], () => readdir(path)),
  unlink: (path) =>
    orWhenMissing(path, false, async () => {
      await unlink(path);
      return true;
    }),
  rename: (from, to) => told(from, () => rename(from, to)),
  syncDirectory: (path) => sync(path),
  syncFile: (path) => sync(path),
  freeBytes: (path) =>
    told(path, async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    }),
};

const sync = (path: string): Promise<void> =>
  told(path, async () => {
    const opened = await open(path, 'r');
    await opened.sync().finally(() => opened.close());
  });

/** Whoever opens a pipe would else wait for somebody to write into it. */
const READ_NOW = constants.O_RDONLY | constants.O_NONBLOCK;

async function startOf(path: string, bytesMax: number): Promise<Uint8Array | null> {
  const opened = await open(path, READ_NOW);
  try {
    if (!(await opened.stat()).isFile()) return null;
    const bytes = new Uint8Array(bytesMax);
    let count = 0;
    for (;;) {
      const { bytesRead } = await opened.read(bytes, count, bytesMax - count, null);
      count += bytesRead; // What the kernel makes up, as in all of /proc, it gives away in pieces.
      if (bytesRead === 0 || count === bytesMax) return bytes.subarray(0, count);
    }
  } finally {
    await opened.close();
  }
}

async function makeNew(path: string): Promise<boolean> {
  try {
    const made = await open(path, 'wx');
    await made.close();
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function fill(path: string, bytes: Uint8Array): Promise<void> {
  const opened = await open(path, 'w');
  try {
    await opened.writeFile(bytes);
    await opened.datasync();
  } finally {
    await opened.close();
  }
}

function kindOf(found: Stats): FileKind {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isSocket()) return 'socket';
  return 'other';
}

/**
 * One level after the other: Node's own `recursive` never ends where mkdir calls a parent missing that is there, as
 * it does in all of /proc.
 */
async function makeDirectory(path: string): Promise<void> {
  const above = dirname(path);
  if (await isMade(path)) return;
  if (above !== path) await makeDirectory(above);
  if (!(await isMade(path))) throw new FileTrouble('ENOENT', path, `no directory can be made in ${above}`);
}

/** Whether the directory is there now; false when one above it is missing. */
async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    const found = await stat(path).catch(() => null);
    if (found?.isDirectory()) return true;
    throw error;
  }
}

/** Does something and throws what goes wrong as a `FileTrouble`. */
export async function told<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FileTrouble) throw error;
    throw new FileTrouble(errnoOf(error), path, error instanceof Error ? error.message : String(error));
  }
}

async function orWhenMissing<T>(path: string, missing: T, work: () => Promise<T>): Promise<T> {
  try {
    return await told(path, work);
  } catch (error) {
    if (error instanceof FileTrouble && MISSING.has(error.code)) return missing;
    throw error;
  }
}

const errnoOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';

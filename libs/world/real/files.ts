import { appendFile, mkdir, open, readdir, realpath, stat, statfs, unlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
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
      };
    }),
  realpath: (path) => orWhenMissing(path, null, () => realpath(path)),
  append: (path, text) => told(path, () => appendFile(path, text)),
  makeDirectory: (path) => told(path, async () => void (await mkdir(path, { recursive: true }))),
  list: (path) => orWhenMissing(path, [], () => readdir(path)),
  unlink: (path) =>
    orWhenMissing(path, false, async () => {
      await unlink(path);
      return true;
    }),
  syncDirectory: (path) =>
    told(path, async () => {
      const directory = await open(path, 'r');
      await directory.sync().finally(() => directory.close());
    }),
  freeBytes: (path) =>
    told(path, async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    }),
};

function kindOf(found: Stats): FileKind {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isSocket()) return 'socket';
  return 'other';
}

async function told<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
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

import { posix } from 'node:path';
import type { World } from '#world';
import { troubleIn } from './trouble.ts';

/** Whether a file is gone and stays so: whoever unlinked it may have died before that was on disk. */
export async function isGoneForGood({ files }: Pick<World, 'files'>, file: string): Promise<boolean> {
  if ((await files.stat(file)) !== null) return false;
  return (await troubleIn(() => files.syncDirectory(posix.dirname(file)))) === null;
}

/** Unlinks a file so that it does not come back when the host goes down. One that is not there is fine. */
export async function unlinkForGood({ files }: Pick<World, 'files'>, file: string): Promise<void> {
  await files.unlink(file);
  await files.syncDirectory(posix.dirname(file));
}

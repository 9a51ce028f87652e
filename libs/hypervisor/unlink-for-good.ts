import { posix } from 'node:path';
import type { World } from '#world';
import { troubleIn } from './trouble.ts';

/** Whether a file is there. Whoever unlinked it may have died before that was on disk: once told `gone`, it is. */
export async function presenceOf(
  { files }: Pick<World, 'files'>,
  file: string,
): Promise<'there' | 'gone' | 'may come back'> {
  if ((await files.stat(file)) !== null) return 'there';
  const trouble = await troubleIn(() => files.syncDirectory(posix.dirname(file)));
  return trouble ? 'may come back' : 'gone';
}

/** Unlinks a file so that it does not come back when the host goes down. One that is not there is fine. */
export async function unlinkForGood({ files }: Pick<World, 'files'>, file: string): Promise<void> {
  await files.unlink(file);
  await files.syncDirectory(posix.dirname(file));
}

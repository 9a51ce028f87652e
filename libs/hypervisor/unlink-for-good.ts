import { posix } from 'node:path';
import type { World } from '#world';
import { NotNow } from './not-now.ts';
import { troubleIn } from './trouble.ts';

/** Whether a file is there. Whoever unlinked it may have died before that was on disk: once told `gone`, it is. */
export async function presenceOf(
  { files }: Pick<World, 'files'>,
  file: string,
): Promise<'there' | 'gone' | 'may come back'> {
  if ((await files.stat(file)) !== null) return 'there';
  const directory = posix.dirname(file);
  if ((await files.stat(directory)) === null) return 'gone'; // Nothing comes back without it.
  const trouble = await troubleIn(() => files.syncDirectory(directory));
  return trouble ? 'may come back' : 'gone';
}

/**
 * Whether a file is there, before a machine runs on without it.
 *
 * @throws {NotNow} while it may come back
 */
export async function isThere(world: Pick<World, 'files'>, file: string): Promise<boolean> {
  const presence = await presenceOf(world, file);
  if (presence === 'may come back')
    throw new NotNow('host-unreachable', `nobody knows whether ${file} stays unlinked`);
  return presence === 'there';
}

/** Unlinks a file so that it does not come back when the host goes down. One that is not there is fine. */
export async function unlinkForGood({ files }: Pick<World, 'files'>, file: string): Promise<void> {
  await files.unlink(file);
  await files.syncDirectory(posix.dirname(file));
}

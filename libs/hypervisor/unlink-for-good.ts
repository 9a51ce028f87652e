import { posix } from 'node:path';
import type { World } from '#world';

/** Unlinks a file so that it does not come back when the host goes down. One that is not there is fine. */
export async function unlinkForGood({ files }: Pick<World, 'files'>, file: string): Promise<void> {
  await files.unlink(file);
  await files.syncDirectory(posix.dirname(file));
}

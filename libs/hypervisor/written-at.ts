import type { Place } from './place.ts';

/**
 * When an image was written last, in ms since 1970. Null of one that is not there, and of a block device: the time of its
 * node is that of whoever touched the node, as udev does some time after every writer, and of no write.
 */
export async function writtenAt({ world }: Pick<Place, 'world'>, file: string): Promise<number | null> {
  const found = await world.files.stat(file);
  return found?.kind === 'file' ? found.modifiedAt : null;
}

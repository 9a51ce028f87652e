import { monitorSocket } from './monitor-socket.ts';
import type { Place } from '../place.ts';

/** How a machine that is off, and its images, stand as long as nobody but us touches them. */
export interface Standing {
  /** What lay at the monitor's path: a machine that is started puts another socket there, and one that ends takes it away. */
  readonly socket: string;
  /** By file, when it was written last as far as that is right: before we began, or by us. */
  readonly times: Map<string, number | null>;
}

type Where = Pick<Place, 'world' | 'monitor'>;

/** Throws what the file system refuses. */
export async function standingNow(place: Where, files: readonly string[]): Promise<Standing> {
  const standing: Standing = { socket: await monitorSocket(place), times: new Map() };
  for (const file of files) await noteWritten(place, standing, file);
  return standing;
}

/** It was written, and by us. Throws what the file system refuses. */
export async function noteWritten(place: Where, { times }: Standing, file: string): Promise<void> {
  times.set(file, await writtenAt(place, file));
}

/** What tells that the machine has run since, in words that "while ..." goes on; null when nothing does. Throws the same. */
export async function whyDisturbed(
  place: Where,
  { socket, times }: Standing,
  files: Iterable<string>,
): Promise<string | null> {
  for (const file of files)
    if ((await writtenAt(place, file)) !== times.get(file)) return `${file} was written`;
  return (await monitorSocket(place)) === socket ? null : 'the machine has run';
}

/**
 * When an image was written last, in ms since 1970. Null of one that is not there, and of a block device: the time of its
 * node is that of whoever touched the node, as udev does some time after every writer, and of no write.
 */
async function writtenAt({ world }: Where, file: string): Promise<number | null> {
  const found = await world.files.stat(file);
  return found?.kind === 'file' ? found.modifiedAt : null;
}

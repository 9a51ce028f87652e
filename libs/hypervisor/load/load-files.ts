import { Refusal, type Vm } from '#ledger';
import { realFile, seenTag } from '../look/devices.ts';
import type { ImageAt, ImageSight } from '../qemu/images.ts';
import { whyNotInImage } from './load-check.ts';
import type { Place } from '../place.ts';
import type { SeenTag } from '../look/sight.ts';

/* Files that hold a snapshot and that no device uses now. Before a load begins they must be there and be what they
   were. */

/** Longer chains QEMU could hardly open. */
const LAYERS_MAX = 1_000;

export type ImageFound = Extract<ImageSight, { kind: 'seen' }>;

/**
 * An image that can be read, and so can all that it stands on.
 *
 * @throws {Refusal} `snapshot-damaged`, naming the file
 */
export async function requireChain(
  place: Place,
  { layers }: Pick<Vm, 'layers'>,
  at: ImageAt,
): Promise<ImageFound> {
  const top = await requireImage(place, at);
  let [file, info] = [at.file, top.info];
  for (let depth = 1; depth < LAYERS_MAX; depth += 1) {
    const backing = info.backingFile === null ? null : await realFile(place.world.files, info.backingFile);
    const known = layers.get(file)?.backing ?? null;
    if (known !== null && known !== backing) {
      throw damaged(`${file} stands on ${backing ?? 'nothing'}, and should stand on ${known}`);
    }
    if (backing === null) return top;
    const format = layers.get(backing)?.format;
    if (format === undefined) {
      await requireFile(place, backing); // Of a template below the machine's own image nothing else is known.
      return top;
    }
    [file, info] = [backing, (await requireImage(place, { file: backing, format })).info];
  }
  throw damaged(`${at.file} stands on more than ${LAYERS_MAX} layers`);
}

/**
 * The tags of an image that holds a snapshot inside. Throws as `requireChain` does, and `not-loadable`.
 */
export function requireTag({ file }: ImageAt, found: ImageFound, tag: string): SeenTag[] {
  const tags = found.info.snapshots.map(seenTag);
  const obstacle = whyNotInImage(file, { tags, hasDirtyBitmaps: found.hasDirtyBitmaps }, tag);
  if (obstacle) throw new Refusal(obstacle.reason, obstacle.message);
  return tags;
}

/**
 * The file with the memory of a snapshot. Throws as `requireChain` does.
 */
export async function requireMemory(place: Place, file: string, tag: string): Promise<void> {
  const at = { file, format: 'qcow2' };
  const tags = requireTag(at, await requireImage(place, at), tag);
  if (tags.some((seen) => seen.tag === tag && seen.vmStateSizeBytes > 0)) return;
  throw damaged(`${file} should hold the memory, and has none of it`);
}

async function requireImage(place: Place, at: ImageAt): Promise<ImageFound> {
  await requireFile(place, at.file);
  const seen = await place.images.info(at, 'shared');
  if (seen.kind !== 'seen') throw damaged(`${at.file} cannot be read as ${at.format}: ${seen.words}`);
  await requireSound(place, at);
  return seen;
}

/**
 * Where an image was cut off QEMU reads zeros, and says nothing. One that somebody writes cannot be told.
 *
 * @throws {Refusal} `snapshot-damaged`
 */
export async function requireSound({ images }: Place, at: ImageAt): Promise<void> {
  const health = await images.checkUnlessKnown(at);
  if (health.kind !== 'damaged') return;
  throw damaged(`${at.file} is damaged: ${health.words.split('\n', 1).join()}`);
}

async function requireFile({ world }: Place, file: string): Promise<void> {
  if ((await world.files.stat(file)) === null) throw damaged(`the file ${file} is gone`);
}

const damaged = (message: string): Refusal => new Refusal('snapshot-damaged', message);

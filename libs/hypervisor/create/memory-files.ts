import { type Snapshot, tagOf } from '#ledger';
import type { Place } from '../place.ts';

/** Whether the file of a snapshot's memory is what it was saved into; null when it is gone. Throws `FileTrouble`. */
export async function holdsMemoryOf(
  { world, images }: Place,
  { id, memory }: Readonly<Snapshot>,
): Promise<boolean | null> {
  const { file = '', format, sizeBytes, sha256 } = memory;
  const found = await world.files.stat(file);
  if (found === null) return null;
  if (format === 'stream') {
    return found.sizeBytes === sizeBytes && (await world.streams.measure(file)).sha256 === sha256;
  }
  const seen = await images.info({ file, format: 'qcow2' }, 'shared');
  return seen.kind === 'seen' && seen.info.snapshots.some(({ name }) => name === tagOf(id));
}

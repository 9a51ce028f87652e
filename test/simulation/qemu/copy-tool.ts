import type { Finished } from '#world';
import { Image } from './image.ts';
import type { Shelf } from './shelf.ts';
import { pause, type Surroundings, type Work } from './work.ts';

const COPY_MS = 20;

/** `cp` of an image with all that is inside. Whoever dies in the middle leaves something that is no image. */
export function* copyTool(
  { surroundings, shelf }: { readonly surroundings: Surroundings; readonly shelf: Shelf },
  args: readonly string[],
): Work<Finished> {
  const [source = '', target = ''] = args.slice(-2);
  const { files } = shelf;
  const image = files.image(source);
  if (!image)
    return { code: 1, stdout: '', stderr: `cp: cannot stat '${source}': No such file or directory\n` };
  if (surroundings.isFull() || surroundings.faults.happens('copy-no-space'))
    return { code: 1, stdout: '', stderr: `cp: error writing '${target}': No space left on device\n` };
  files.make(target, 'file');
  files.append(target, 'half');
  yield* pause(surroundings.chance, COPY_MS, `copies ${source}`);
  const { format, virtualSizeBytes, backing } = image;
  const copy = new Image(target, format, { virtualSizeBytes, backing });
  copy.fill(image.content);
  copy.snapshots = image.snapshots.map((entry) => ({ ...entry }));
  copy.health = image.health;
  files.putImage(copy);
  return { code: 0, stdout: '', stderr: '' };
}

import type { Leftover, Vm } from '#ledger';
import { isClosed, whileClosed } from '../load/closed-disk.ts';
import type { TagInFile } from './delete-plan.ts';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { NotNow } from '../not-now.ts';
import { observe, powerNow } from '../look/observe.ts';
import { chainWith, closeFile, lookAtOpenImages, type OpenImages } from '../look/open-images.ts';
import { letRunOn, setRunning, stopWithSign } from '../qemu/power.ts';
import type { SeenDisk, Sight } from '../look/sight.ts';
import { troubleIn } from '../trouble.ts';

/* Tags in files that no machine writes: QEMU has no word for them, so qemu-img takes them off closed files. */

/** A tag, and the device whose image must be closed for it; null when its file is closed anyway. */
interface Buried extends TagInFile {
  readonly format: string;
  readonly under: SeenDisk | null;
}

/** Those that no disk of the sight has on top. */
export const buriedAmong = (tags: readonly TagInFile[], { disks }: Sight): TagInFile[] =>
  tags.filter(({ file }) => !disks.some((disk) => disk.file === file));

/**
 * Takes tags off files below the tops, and puts every device back on its image that somebody left without. Returns
 * what is left. A file or a tag that is gone already is a success.
 *
 * @throws {NotNow} when somebody else has a file open, or QEMU would not open again what it has closed
 */
export async function removeBuried(
  errand: Errand,
  start: Start,
  { tags, after }: { tags: readonly TagInFile[]; after: Pick<Vm, 'layers' | 'disks'> },
  sight: Sight,
): Promise<Leftover[]> {
  const { place } = errand;
  const without = sight.disks.filter(isClosed);
  if (tags.length === 0 && without.length === 0) return [];
  const open = await lookAtOpenImages(place, sight.power);
  const buried = tags.map((tag) => placed(tag, { after, open, sight }));
  const leftovers: Leftover[] = [];
  for (const tag of buried.filter(({ under }) => under === null)) {
    await orLater(() => closeFile(place, open, tag.file));
    leftovers.push(...(await removeFrom(errand, tag)));
  }
  const closed = new Set([...without, ...buried.flatMap(({ under }) => under ?? [])]);
  if (closed.size === 0) return leftovers;
  const before = await powerNow(errand);
  await stopWithSign(errand, before);
  try {
    for (const seen of closed) {
      const index = sight.disks.indexOf(seen); // The same at every try: a placeholder may be of an earlier one.
      const inside = buried.filter(({ under }) => under === seen);
      leftovers.push(...(await removeBehind(errand, start, { seen, index, inside, after })));
    }
  } catch (error) {
    const isToRun = errand.memory.stopped.get(errand.operationId) === true;
    if (error instanceof NotNow && isToRun) await runOnIfOpen(errand);
    throw error;
  }
  await setRunning(errand, await powerNow(errand), before === 'running' ? 'running' : 'paused');
  return leftovers;
}

/** Whoever has a file open may have it for hours, and the guest must not wait for that. On a placeholder none may run. */
async function runOnIfOpen(errand: Errand): Promise<void> {
  const { disks } = await observe(errand, 'listed');
  if (!disks.some(isClosed)) await letRunOn(errand);
}

/** Where a tag's file is: under a device that is open, under one that somebody has closed, or under none. */
function placed(
  tag: TagInFile,
  { after, open, sight }: { after: Pick<Vm, 'layers'>; open: OpenImages; sight: Sight },
): Buried {
  const top = chainWith(open, tag.file)?.[0];
  const isUnder = (disk: SeenDisk): boolean =>
    disk.file === top || (isClosed(disk) && disk.device === tag.device);
  return {
    ...tag,
    format: after.layers.get(tag.file)?.format ?? 'qcow2',
    under: sight.disks.find(isUnder) ?? null,
  };
}

async function removeBehind(
  errand: Errand,
  start: Start,
  {
    seen,
    index,
    inside,
    after,
  }: { seen: SeenDisk; index: number; inside: readonly Buried[]; after: Pick<Vm, 'disks'> },
): Promise<Leftover[]> {
  const disk = after.disks.find(({ device }) => device === seen.device);
  const node = start.nodes[seen.device];
  if (!disk || node === undefined) throw new NotNow('host-unreachable', `nobody knows disk "${seen.device}"`);
  const image = { file: disk.file, format: disk.format, node };
  const leftovers: Leftover[] = [];
  await orLater(() =>
    whileClosed(errand, { seen, image, index }, async () => {
      for (const tag of inside) leftovers.push(...(await removeFrom(errand, tag)));
    }),
  );
  return leftovers;
}

/** What QEMU will not close somebody uses, and what it will not open again no guest may run without: until later. */
async function orLater(work: () => Promise<void>): Promise<void> {
  const trouble = await troubleIn(work);
  if (trouble?.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  if (trouble) throw new NotNow('machine-busy', trouble.words);
}

/** As often as it stands there. */
async function removeFrom(
  { place, steps }: Errand,
  { device, file, format, tag }: Buried,
): Promise<Leftover[]> {
  const seen = await place.images.info({ file, format }, 'shared');
  if (seen.kind !== 'seen') {
    const isGone = (await place.world.files.stat(file)) === null; // And with it all that was inside.
    return isGone ? [] : [{ device, file, tag, why: seen.words }];
  }
  const count = seen.info.snapshots.filter(({ name }) => name === tag).length;
  const trouble = await troubleIn(async () => {
    for (let left = count; left > 0; left -= 1) {
      await steps.take(`remove ${tag}`, device, () => place.images.remove({ file, format }, tag));
    }
  });
  if (!trouble) return [];
  if (trouble.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  if (trouble.category === 'locked') throw new NotNow('machine-busy', trouble.words);
  return [{ device, file, tag, why: trouble.words }];
}

import { type Finding, type LayerChange, type Report, type Snapshot, tagOf } from '#ledger';
import { layersWith } from '../create/evidence.ts';
import { removeTag } from '../delete/removal.ts';
import { closeForGood, unlinkClosed, type Unlinking } from '../delete/unlinking.ts';
import { orphanFile, orphanTag } from '../drift/drift.ts';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { realFile } from '../look/devices.ts';
import { isNamedByQemu } from '../look/open-images.ts';
import { observe } from '../look/observe.ts';
import { countOf, diskOf, hasForGood, listsAll, type Power, type Sight } from '../look/sight.ts';
import { NotNow } from '../not-now.ts';
import { openNodes } from '../qemu/graph.ts';
import type { Place } from '../place.ts';
import { ending } from '../report.ts';
import { troubleIn } from '../trouble.ts';
import { isThere } from '../unlink-for-good.ts';
import { tagsInside, withoutStaying } from './buried-pins.ts';
import { closeChain } from './closed-disk.ts';
import { freeFiles, memoryFileOf, whatBecomesFree } from './load-aftermath.ts';
import type { Loading } from './load-loading.ts';
import { topsOf } from './load-tops.ts';

/* Clearing away what a load leaves. A layer that cannot be removed keeps its place in the ledger, and so does a pin that
   is whole: the next load tries again. What is left of a pin that is not is told as an orphan. */

interface Cleared {
  readonly layers: LayerChange | undefined;
  /** Pins that are gone, or not whole any more. */
  readonly replaced: readonly Snapshot[];
  /** What is left of those. */
  readonly orphans: readonly Finding[];
}

const NOTHING: Cleared = { layers: undefined, replaced: [], orphans: [] };

/** Loaded, and cleared away what that leaves. Throws as `look` does. */
export async function reportLoaded(errand: Errand, loading: Loading, runs: boolean): Promise<Report> {
  const { layers, replaced, orphans } = await clearAway(errand, loading);
  return {
    type: 'ReportLoaded',
    loaded: { ...(await ending(errand)), runs, ...(layers && { layers }) },
    ...(replaced.length > 0 && { replaced: replaced.map(({ id }) => id) }),
    ...(orphans.length > 0 && { orphans }),
  };
}

/** Closes what the disks have left, and removes what nobody needs. */
async function clearAway(errand: Errand, { operation, start }: Loading): Promise<Cleared> {
  const { vm } = errand;
  const tops = topsOf(start);
  const left = { tops, spared: start.spared };
  const { pins, files } = whatBecomesFree(vm, operation, left);
  if (tops.length === 0 && pins.length === 0 && files.length === 0) return NOTHING;
  const listed = await observe(errand, 'listed');
  const isAllListed = pins.every(({ evidence }) => listsAll(listed, evidence));
  const sight = isAllListed ? listed : await observe(errand, 'in-files');
  const { power } = sight;
  const closed = power === 'off' ? [] : await closeLeft(errand, start);
  const untagged = await untag(errand, pins, sight);
  const free = freeFiles(vm, operation, left, untagged.replaced);
  const gone = await unlinkNamed(errand, start, { power, files: free, closed });
  const staying = free.filter((file) => !gone.includes(file));
  const replaced = withoutStaying(vm, untagged.replaced, { gone, staying });
  const buried = replaced.flatMap((pin) => tagsInside(pin, staying));
  const lost = gone.filter((file) => vm.layers.has(file));
  const isSame = tops.length === 0 && lost.length === 0;
  return {
    layers: isSame ? undefined : { ...layersWith(tops, null), gone: lost },
    replaced,
    orphans: [...untagged.orphans, ...buried, ...(await unlinkMemory(errand, start, power, replaced))],
  };
}

type ClosedTop = Pick<Unlinking, 'file' | 'lockedUntilMs'>;

/**
 * By the names that QEMU knew them by. What still stays open costs nothing but a file descriptor. Returns those that it
 * could write until then: of a qcow2 it keeps the lock for as long as its node is there.
 */
async function closeLeft({ place }: Errand, start: Start): Promise<readonly ClosedTop[]> {
  const { files, clock } = place.world;
  const tops = topsOf(start);
  if (tops.length === 0) return [];
  const lockedUntilMs = clock.monotonic();
  const open = await openNodes(place);
  const closed: ClosedTop[] = [];
  for (const { device, file } of tops) {
    const left = open.find(({ nodeName }) => nodeName === start.nodes[device]);
    if (!left) continue;
    const at = await realFile(files, left.file);
    if (at === file) continue;
    const trouble = await troubleIn(() => closeChain(place, at));
    const isLocked = left.driver === 'qcow2' && !left.readOnly && !isNamedByQemu(left.nodeName);
    if (!trouble && isLocked) closed.push({ file: at, lockedUntilMs });
  }
  return closed;
}

/** Takes pins off all tops. One of which nothing could be removed stays what it is. */
async function untag(
  errand: Errand,
  pins: readonly Snapshot[],
  sight: Sight,
): Promise<Pick<Cleared, 'replaced' | 'orphans'>> {
  const troubled = new Set<Snapshot>();
  for (const pin of pins) if (await troubleIn(() => untagOne(errand, pin, sight))) troubled.add(pin);
  if (troubled.size === 0) return { replaced: pins, orphans: [] };
  const after = await observe(errand, 'in-files');
  const replaced = pins.filter((pin) => !troubled.has(pin) || !isWhole(pin, after));
  return { replaced, orphans: replaced.flatMap((pin) => tagsLeft(pin, after)) };
}

async function untagOne({ place, steps }: Errand, pin: Snapshot, sight: Sight): Promise<void> {
  const tag = tagOf(pin.id);
  for (const { device } of pin.disks) {
    const disk = diskOf(sight, device);
    if (!disk || countOf(disk, tag) === 0) continue;
    await steps.take(`remove ${tag}`, device, () => removeTag(place, sight.power, { disk, tag }));
  }
}

/** Whether it still stands in every top that it stood in: somebody who died may have begun to remove it. */
const isWhole = (pin: Snapshot, sight: Sight): boolean =>
  pin.disks.every(({ mode, file }) => {
    const disk = sight.disks.find((seen) => mode === 'internal' && seen.file === file);
    return !disk || hasForGood(disk, tagOf(pin.id));
  });

const tagsLeft = (pin: Snapshot, { disks }: Sight): Finding[] =>
  disks.flatMap((disk) =>
    disk.tags.filter(({ tag }) => tag === tagOf(pin.id)).map((seen) => orphanTag(disk, seen)),
  );

/**
 * Unlinks only what the log has named, and only what lies where the log says, not behind a link. Those that a look does
 * not find afterwards are gone, whoever did it and however it went.
 */
async function unlinkNamed(
  errand: Errand,
  { unlinks = [] }: Start,
  { power, files, closed: tops }: { power: Power; files: readonly string[]; closed: readonly ClosedTop[] },
): Promise<string[]> {
  const { place, vm, steps } = errand;
  const named = files.filter((file) => unlinks.includes(file));
  const going: Unlinking[] = [];
  for (const file of named) {
    if ((await place.world.files.realpath(file)) !== file) continue;
    going.push({
      ...tops.find((top) => top.file === file),
      file,
      format: vm.layers.get(file)?.format,
      power,
    });
  }
  await unlessRefused(async () => {
    const closed = await closeForGood(place, going);
    for (const { file } of going)
      await steps.take('unlink what nobody needs', null, () => unlinkClosed(place, file, closed));
  });
  return lackingOf(place, named);
}

/** @throws {NotNow} while one of them may come back when the host goes down: nobody would know of it */
async function lackingOf({ world }: Place, files: readonly string[]): Promise<string[]> {
  const lacking: string[] = [];
  for (const file of files) if (!(await isThere(world, file))) lacking.push(file);
  return lacking;
}

/** Layers that somebody has unlinked who died before he could tell; undefined when there are none. */
export async function goneAlready(
  { place, vm }: Errand,
  { unlinks = [] }: Start,
): Promise<LayerChange | undefined> {
  const layers = unlinks.filter((file) => vm.layers.has(file));
  const gone = await lackingOf(place, layers);
  return gone.length === 0 ? undefined : { set: [], gone, tops: [], contents: [] };
}

/** Pins of which somebody has removed a part who died before he could tell. The load of which that was part has failed. */
export async function brokenPins(
  { place, vm }: Errand,
  { operation, start }: Loading,
  sight: Sight,
): Promise<Pick<Cleared, 'replaced' | 'orphans'>> {
  const { pins } = whatBecomesFree(vm, operation, { tops: topsOf(start), spared: start.spared });
  const replaced: Snapshot[] = [];
  const orphans: Finding[] = [];
  for (const pin of pins) {
    const files = [...pin.disks.flatMap(({ file }) => file ?? []), ...memoryFileOf(pin)];
    const gone = await lackingOf(place, files);
    if (gone.length === 0 && isWhole(pin, sight)) continue;
    const there = files.filter((file) => !gone.includes(file));
    const memory = memoryFileOf(pin).filter((file) => there.includes(file));
    const below = there.filter((file) => !sight.disks.some((disk) => disk.file === file));
    replaced.push(pin);
    orphans.push(...tagsLeft(pin, sight), ...tagsInside(pin, below), ...memory.map(orphanFile));
  }
  return { replaced, orphans };
}

/** Nothing stands on memory, so what keeps one file keeps no other. Returns those that are still there. */
async function unlinkMemory(
  errand: Errand,
  start: Start,
  power: Power,
  pins: readonly Snapshot[],
): Promise<Finding[]> {
  const left: Finding[] = [];
  for (const file of pins.flatMap(memoryFileOf)) {
    const gone = await unlinkNamed(errand, start, { power, files: [file], closed: [] });
    if (gone.length === 0) left.push(orphanFile(file));
  }
  return left;
}

/** Until the first refusal: what lies below must not go before what stands on it. */
async function unlessRefused(work: () => Promise<void>): Promise<void> {
  try {
    await troubleIn(work);
  } catch (error) {
    if (!(error instanceof NotNow)) throw error;
  }
}

import {
  type Layer,
  type LayerChange,
  type PinWish,
  pinsOf,
  planLayers,
  type PlannedLayer,
  type Report,
  type Snapshot,
  tagOf,
  type Vm,
} from '#ledger';
import { closeChain } from './closed-disk.ts';
import { openNodes } from '../qemu/graph.ts';
import { realFile } from '../look/devices.ts';
import { layersWith } from '../create/evidence.ts';
import type { Errand, OperationOf } from '../errand.ts';
import { NotNow } from '../not-now.ts';
import type { Start } from '../journal.ts';
import type { Loading } from './load-loading.ts';
import { topsOf } from './load-tops.ts';
import { observe } from '../look/observe.ts';
import { removeTag } from '../delete/removal.ts';
import { ending } from '../report.ts';
import { countOf, diskOf, listsAll, type Power, type Sight } from '../look/sight.ts';
import { troubleIn } from '../trouble.ts';
import { closeForGood, unlinkClosed, type Unlinking } from '../delete/unlinking.ts';

/* What nobody needs any more once a load is done: the tops that were left, and earlier pins. Whatever of it cannot be
   removed stays where it is and keeps its place in the ledger: the next load tries again. */

/** What the disks go on in, and what others read of that which they leave. */
export interface LeftBehind {
  readonly tops: readonly PlannedLayer[];
  readonly spared?: Start['spared'];
}

/** What could go after a load. */
export interface Free {
  /** Files that nothing needs, nobody before those that stand on it. */
  readonly files: readonly string[];
  /** Earlier pins of which nothing would be left. */
  readonly pins: readonly Snapshot[];
}

type Asked = Pick<OperationOf<'load'>, 'snapshotId' | 'request'>;

/** What will be free when all disks stand on these tops. */
export function whatBecomesFree(vm: Readonly<Vm>, operation: Asked, { tops, spared = [] }: LeftBehind): Free {
  let pins = earlierPins(vm, operation);
  for (;;) {
    const going = pins;
    const files = freeFiles(vm, operation, { tops, spared }, going);
    pins = going.filter((pin) => isRemovable(pin, files, standingOn(vm, tops)));
    if (pins.length === going.length) return { files: [...files, ...going.flatMap(memoryFileOf)], pins };
  }
}

/**
 * A pin that is loaded stays, for the present descends from it; so does the newest one while no other replaces it, and
 * whatever somebody has protected.
 */
function earlierPins(vm: Readonly<Vm>, { snapshotId, request }: Asked): Snapshot[] {
  const older = pinsOf(vm).filter(({ id }) => id !== snapshotId && id !== request.pin?.snapshotId);
  const replaced = request.pin ? older : older.slice(0, -1);
  return replaced.filter(({ isProtected }) => !isProtected);
}

/** Layers that nothing needs when these pins are gone. */
function freeFiles(
  vm: Readonly<Vm>,
  { request }: Asked,
  { tops, spared = [] }: LeftBehind,
  going: readonly Snapshot[],
): string[] {
  const staying = [...vm.snapshots.values()].filter((snapshot) => !going.includes(snapshot));
  const kept = request.pin ? [pinOf(vm, request.pin, tops)] : [];
  const read = new Set(spared.map(({ file }) => file));
  const { unneeded } = planLayers(standingOn(vm, tops), [...staying, ...kept], new Set(), read);
  return unneeded.map(({ file }) => file);
}

const memoryFileOf = ({ memory }: Snapshot): string[] => (memory.file === undefined ? [] : [memory.file]);

type Machine = Pick<Vm, 'layers' | 'disks' | 'backups'>;

/** The machine once it stands on these tops. */
function standingOn({ layers, disks, backups }: Readonly<Vm>, tops: readonly PlannedLayer[]): Machine {
  const all = new Map(layers);
  for (const { device, file, format, backing } of tops) {
    const layer: Layer = { device, file, format, backing, origin: 'ours' };
    all.set(file, layer);
  }
  const fileOf = new Map(tops.map(({ device, file }) => [device, file]));
  return {
    layers: all,
    backups,
    disks: disks.map((disk) => ({ ...disk, file: fileOf.get(disk.device) ?? disk.file })),
  };
}

/** What the new pin keeps: the layers that the disks leave. */
const pinOf = (
  { disks }: Readonly<Vm>,
  { snapshotId }: PinWish,
  tops: readonly PlannedLayer[],
): Snapshot => ({
  id: snapshotId,
  name: '',
  description: '',
  labels: {},
  parentId: null,
  status: 'complete',
  isProtected: false,
  vmState: null,
  memory: { mode: 'none' },
  implicit: true,
  disks: disks
    .filter(({ device }) => tops.some((top) => top.device === device))
    .map(({ device, file }) => ({ device, mode: 'external', file })),
  evidence: [],
});

/** A tag can be taken off a disk's top, or goes with its file; one that is buried stays. */
const isRemovable = ({ disks }: Snapshot, freeFiles: readonly string[], after: Machine): boolean =>
  disks.every(
    ({ mode, file }) =>
      mode !== 'internal' ||
      file === undefined ||
      freeFiles.includes(file) ||
      after.disks.some((disk) => disk.file === file),
  );

interface Aftermath {
  readonly layers: LayerChange | undefined;
  /** Pins that are gone. */
  readonly replaced: string[];
}

/** Loaded, and cleared away what that leaves. Throws as `look` does. */
export async function reportLoaded(errand: Errand, loading: Loading, runs: boolean): Promise<Report> {
  const { layers, replaced } = await clearAway(errand, loading);
  const loaded = { ...(await ending(errand)), runs, ...(layers && { layers }) };
  return { type: 'ReportLoaded', loaded, ...(replaced.length > 0 && { replaced }) };
}

/** Closes what the disks have left, and removes what nobody needs. */
async function clearAway(errand: Errand, { operation, start }: Loading): Promise<Aftermath> {
  const { vm } = errand;
  const tops = topsOf(start);
  const left = { tops, spared: start.spared };
  const { pins, files } = whatBecomesFree(vm, operation, left);
  if (tops.length === 0 && pins.length === 0 && files.length === 0)
    return { layers: undefined, replaced: [] };
  const listed = await observe(errand, 'listed');
  const isAllListed = pins.every(({ evidence }) => listsAll(listed, evidence));
  const sight = isAllListed ? listed : await observe(errand, 'in-files');
  if (sight.power !== 'off') await closeLeft(errand, start);
  const replaced: Snapshot[] = [];
  for (const pin of pins) if (await untag(errand, pin, sight)) replaced.push(pin);
  const gone = await unlinkNamed(errand, start, sight.power, [
    ...freeFiles(vm, operation, left, replaced),
    ...replaced.flatMap(memoryFileOf),
  ]);
  const isSame = tops.length === 0 && gone.length === 0;
  return {
    layers: isSame
      ? undefined
      : { ...layersWith(tops, null), gone: gone.filter((file) => vm.layers.has(file)) },
    replaced: replaced.map(({ id }) => id),
  };
}

/** By the names that QEMU knew them by. What still stays open costs nothing but a file descriptor. */
async function closeLeft({ place }: Errand, start: Start): Promise<void> {
  const tops = topsOf(start);
  if (tops.length === 0) return;
  const open = await openNodes(place);
  for (const { device, file } of tops) {
    const left = open.find(({ nodeName }) => nodeName === start.nodes[device]);
    const at = left && (await realFile(place.world.files, left.file));
    if (at !== undefined && at !== file) await troubleIn(() => closeChain(place, at));
  }
}

/** Whether the pin's tags are gone from all tops. */
async function untag({ place, steps }: Errand, pin: Snapshot, sight: Sight): Promise<boolean> {
  const tag = tagOf(pin.id);
  for (const { device } of pin.disks) {
    const disk = diskOf(sight, device);
    if (!disk || countOf(disk, tag) === 0) continue;
    const trouble = await troubleIn(() =>
      steps.take(`remove ${tag}`, device, () => removeTag(place, sight.power, { disk, tag })),
    );
    if (trouble) return false;
  }
  return true;
}

/** Those that are gone. Only what the log has named, and only what lies where the log says, not behind a link. */
async function unlinkNamed(
  errand: Errand,
  { unlinks = [] }: Start,
  power: Power,
  files: readonly string[],
): Promise<string[]> {
  const { place, vm, steps } = errand;
  const named: Unlinking[] = [];
  for (const file of files) {
    if (!unlinks.includes(file)) continue;
    const real = await place.world.files.realpath(file);
    if (real !== null && real !== file) continue;
    named.push({ file, format: vm.layers.get(file)?.format, power });
  }
  const gone: string[] = [];
  await unlessRefused(async () => {
    const closed = await closeForGood(place, named);
    for (const { file } of named) {
      await steps.take('unlink what nobody needs', null, () => unlinkClosed(place, file, closed));
      gone.push(file);
    }
  });
  return gone;
}

/** Until the first refusal: what lies below must not go before what stands on it. */
async function unlessRefused(work: () => Promise<void>): Promise<void> {
  try {
    await troubleIn(work);
  } catch (error) {
    if (!(error instanceof NotNow)) throw error;
  }
}

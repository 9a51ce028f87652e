import {
  type Layer,
  type PinWish,
  pinsOf,
  planLayers,
  type PlannedLayer,
  type Snapshot,
  type Vm,
} from '#ledger';
import type { OperationOf } from '../errand.ts';
import type { Start } from '../journal.ts';

/* What nobody needs any more once a load is done: the tops that were left, and earlier pins. */

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

/** Layers that nothing needs when these pins are gone, nobody before those that stand on it. */
export function freeFiles(
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

/** The file of its own that it keeps memory in, if it does. */
export const memoryFileOf = ({ memory }: Snapshot): string[] =>
  memory.file === undefined ? [] : [memory.file];

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

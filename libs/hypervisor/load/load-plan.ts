import { posix } from 'node:path';
import { type PlannedLayer, Refusal, type SnapshotDisk, tagOf, tagOn } from '#ledger';
import { requireSpace } from '../create/create-plan.ts';
import type { Errand } from '../errand.ts';
import { nodeNameOf } from '../qemu/graph.ts';
import { protocolOf } from '../qemu/images.ts';
import { requireHome } from '../qemu/named-files.ts';
import { isFixed, type LaunchNeeds } from './load-launch.ts';
import { type LoadAsk, type LoadNeeds, memoryDisk } from './load-check.ts';
import { requireChain, requireMemory, requireTag } from './load-files.ts';
import type { Start } from '../journal.ts';
import { realFile } from '../look/devices.ts';
import { diskOf, type SeenDisk, type Sight } from '../look/sight.ts';
import { together } from '../together.ts';

/** New tops are numbered from here on; the memory has the number before. */
const MEMORY_NODE = 0;

/** What becomes of each disk that the snapshot keeps something of. */
export interface LoadPlan extends LaunchNeeds {
  /** Hold the snapshot inside the top that they have now, which stays. */
  readonly inPlace: readonly SeenDisk[];
  /** Get a new top: an empty one on the frozen layer, or a copy of the layer with the snapshot inside. */
  readonly tops: readonly PlannedLayer[];
}

/**
 * What the load will do, once all that it needs was found whole. Touches nothing.
 *
 * @throws {Refusal} `snapshot-damaged`, `config-mismatch`, `not-loadable`, `no-space`
 */
export async function planLoad(errand: Errand, ask: LoadAsk, sight: Sight): Promise<LoadPlan> {
  const { snapshot } = ask;
  const kept = snapshot.disks.filter(({ mode }) => mode !== 'none');
  const all = kept.map((disk) => ({ disk, seen: requireDisk(sight, disk.device) }));
  const inPlace = all.filter(isInTop).map(({ seen }) => seen);
  const moved = all.filter((one) => !isInTop(one));
  const tops = await together(
    moved.map(
      ({ disk, seen }, index) =>
        () =>
          planTop(errand, ask, disk, { seen, index: index + 1 }),
    ),
  );
  if (kept.length === 0 && !ask.withMemory)
    throw new Refusal('snapshot-damaged', 'the ledger knows of nothing that the snapshot holds');
  const memoryFile = await planMemory(errand, ask, sight);
  await requireSpace(
    errand,
    tops.map(({ file }) => file),
    sight,
  );
  return { inPlace, tops, memoryFile, fixed: fixedIn(ask, { inPlace, tops }, sight) };
}

const isInTop = ({ disk, seen }: { disk: SnapshotDisk; seen: SeenDisk }): boolean =>
  disk.mode === 'internal' && disk.file === seen.file;

function requireDisk(sight: Sight, device: string): SeenDisk {
  const disk = diskOf(sight, device);
  if (disk) return disk;
  throw new Refusal('config-mismatch', `the machine has no disk "${device}", which the snapshot names`);
}

async function planTop(
  { place, vm, operationId }: Errand,
  { snapshot }: LoadAsk,
  { device, mode, file }: SnapshotDisk,
  { seen, index }: { seen: SeenDisk; index: number },
): Promise<PlannedLayer> {
  if (file === undefined)
    throw new Refusal('snapshot-damaged', `the ledger knows no file that holds "${device}"`);
  if (mode === 'external' && file === seen.file) {
    throw new Refusal('snapshot-damaged', `the machine writes into ${file}, which the snapshot should be`);
  }
  const at = { file, format: vm.layers.get(file)?.format ?? 'qcow2' };
  const found = await requireChain(place, vm, at);
  const isFile = (await protocolOf(place.world, file)) === 'file';
  const home = isFile ? posix.dirname(file) : await requireHome(place, seen);
  const name = posix.join(home, `${tagOf(operationId)}-${index}.qcow2`);
  const planned = { device, file: name, format: 'qcow2', node: nodeNameOf(operationId, index) };
  if (mode === 'external') return { ...planned, backing: file, by: 'create' };
  requireTag(at, found, tagOn(snapshot));
  const { backingFile } = found.info;
  const backing = backingFile === null ? null : await realFile(place.world.files, backingFile);
  return { ...planned, backing, by: 'copy', source: file };
}

async function planMemory(
  { place, operationId }: Errand,
  { snapshot, withMemory }: LoadAsk,
  sight: Sight,
): Promise<Start['memoryFile']> {
  if (!withMemory) return undefined;
  const { file, format = 'state' } = snapshot.memory;
  const tag = tagOn(snapshot);
  if (file === undefined) {
    await requireMemoryInDisk(place, { snapshot, tag }, sight);
    return undefined;
  }
  if (format === 'state') await requireMemory(place, file, tag);
  return { file, node: nodeNameOf(operationId, MEMORY_NODE), format };
}

async function requireMemoryInDisk(
  place: Errand['place'],
  { snapshot, tag }: { snapshot: LoadAsk['snapshot']; tag: string },
  sight: Sight,
): Promise<void> {
  const holder = snapshot.disks.find(({ device }) => device === snapshot.memory.device);
  const devices = snapshot.disks.filter(({ mode }) => mode === 'internal').map(({ device }) => device);
  if (holder?.file === undefined || holder.file === diskOf(sight, holder.device)?.file) {
    if (memoryDisk(sight, { tag, devices })) return;
    throw new Refusal('snapshot-damaged', 'the snapshot should hold memory, but no disk has any of it');
  }
  await requireMemory(place, holder.file, tag);
}

/** Of a machine that is off nobody knows, and nobody need. */
function fixedIn(
  { withMemory }: LoadAsk,
  { inPlace, tops }: Pick<LoadPlan, 'inPlace' | 'tops'>,
  sight: Sight,
): string | null {
  if (sight.power === 'off') return null;
  const moved = [...(withMemory ? [] : inPlace), ...tops].map(({ device }) => device);
  return moved.find((device) => isFixed(sight, device)) ?? null;
}

/** What the tops must hold, once the load has begun: what its journal says. */
export function needsOf({ snapshot, withMemory }: LoadAsk, { files, memoryFile }: NeedsSource): LoadNeeds {
  const devices = Object.keys(files);
  const { device } = snapshot.memory;
  const isInTop = withMemory && !memoryFile && (device === undefined || devices.includes(device));
  return { tag: tagOn(snapshot), devices, withMemory: isInTop };
}

type NeedsSource = Pick<Start, 'files' | 'memoryFile'>;

/** Whether the copy must keep the snapshot inside, because QEMU loads the memory from it. */
export const holdsMemory = (
  { snapshot, withMemory }: LoadAsk,
  { device, by }: PlannedLayer,
  { memoryFile }: NeedsSource,
): boolean => withMemory && !memoryFile && by === 'copy' && snapshot.memory.device === device;

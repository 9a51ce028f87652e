import { posix } from 'node:path';
import {
  type CapturePlan,
  type DiskCapture,
  type PlannedBackup,
  type PlannedLayer,
  Refusal,
  type Snapshot,
  tagOf,
} from '#ledger';
import { FREE_BYTES_MIN } from '../bounds.ts';
import type { Errand, OperationOf } from '../errand.ts';
import { nodeNameOf } from '../qemu/graph.ts';
import type { ImageAt } from '../qemu/images.ts';
import type { Start } from '../journal.ts';
import { limitsFor } from './memory-stream.ts';
import {
  homeAmong,
  requireExistingImage,
  requireHome,
  requireNewFile,
  requireNothingAt,
} from '../qemu/named-files.ts';
import { notAllowed } from '../qemu/paths.ts';
import { isLocalFile, type SeenDisk, type Sight } from '../look/sight.ts';
import { requireStreamable } from './stream-files.ts';
import { together } from '../together.ts';

/** Overlays are numbered from here on; the memory has the number before. */
const MEMORY_NODE = 0;

/**
 * The layers that go on top of the disks that are captured externally, each where the caller says or beside the layer
 * that it freezes.
 *
 * @throws {Refusal} `path-not-allowed`, `disk-unsupported`
 */
export async function planOverlays(
  errand: Errand,
  snapshotId: string,
  wishes: readonly DiskCapture[],
  disks: readonly SeenDisk[],
): Promise<PlannedLayer[]> {
  const plan = async (wish: DiskCapture, index: number): Promise<PlannedLayer> => {
    const disk = disks.find(({ device }) => device === wish.device);
    if (!disk) throw new Refusal('disk-unsupported', `the machine has no disk "${wish.device}"`);
    requireLocal(disk);
    const at = {
      format: wish.format ?? 'qcow2',
      ...(await placeFor(errand, wish, disk, { snapshotId, index })),
    };
    const node = nodeNameOf(snapshotId, index + 1);
    const backing = { backing: disk.file, ...(await modifiedBefore(errand, disk.file)) };
    return { device: disk.device, ...at, ...backing, node };
  };
  return together(wishes.map((wish, index) => () => plan(wish, index)));
}

async function modifiedBefore(
  { place }: Errand,
  file: string,
): Promise<Pick<PlannedLayer, 'backingModifiedAt'>> {
  const found = await place.world.files.stat(file);
  return found?.kind === 'file' ? { backingModifiedAt: found.modifiedAt } : {};
}

async function placeFor(
  { place, vm }: Errand,
  { file, format = 'qcow2', fileMode }: DiskCapture,
  disk: SeenDisk,
  { snapshotId, index }: { snapshotId: string; index: number },
): Promise<Pick<PlannedLayer, 'file' | 'by'>> {
  if (fileMode === 'existing' && file !== undefined) {
    const wanted = { virtualSizeBytes: disk.virtualSizeBytes, backing: disk };
    const resolved = await requireExistingImage(place, vm, { file, format }, wanted);
    await requireEmpty(place, { file: resolved, format });
    return { file: resolved, by: 'existing' };
  }
  if (file !== undefined) return { file: await requireNewFile(place, vm, file), by: 'create' };
  const beside = posix.join(await requireHome(place, disk), `${tagOf(snapshotId)}-${index + 1}.${format}`);
  return { file: await requireNothingAt(place, beside), by: 'create' };
}

/** What an overlay holds already the guest would find on its disk from one moment to the next. */
async function requireEmpty({ images }: Errand['place'], at: ImageAt): Promise<void> {
  if ((await images.isEmpty(at)) === true) return;
  throw notAllowed(`${at.file} holds something already: an overlay begins empty`);
}

function requireLocal({ device, file, readOnly }: SeenDisk): void {
  if (isLocalFile(file) && !readOnly) return;
  throw new Refusal('disk-unsupported', `disk "${device}" (${file}) is no local file that can be written`);
}

/**
 * Where the memory goes that no disk takes. Throws as `planOverlays` does.
 */
export async function planMemoryFile(
  errand: Errand,
  { request, snapshotId }: OperationOf<'create'>,
  { memoryBy }: CapturePlan,
  sight: Sight,
): Promise<Start['memoryFile']> {
  switch (memoryBy) {
    case 'none':
    case 'in-disk':
      return undefined;
    case 'state-file':
    case 'stream': {
      if (memoryBy === 'stream') requireStreamable(errand, sight);
      const format = memoryBy === 'stream' ? 'stream' : 'state';
      const beside = `${tagOf(snapshotId)}-memory${format === 'state' ? '.qcow2' : ''}`;
      const file = request.memoryFile
        ? await requireNewFile(errand.place, errand.vm, request.memoryFile)
        : await requireNothingAt(errand.place, posix.join(await homeOf(errand, sight), beside));
      const planned = { file, node: nodeNameOf(snapshotId, MEMORY_NODE), format } as const;
      return { ...planned, ...(await limitsFor(errand.place, planned)) };
    }
  }
}

async function homeOf({ place }: Errand, sight: Sight): Promise<string> {
  const home = await homeAmong(place, sight);
  if (home) return posix.dirname(home.file);
  throw new Refusal(
    'disk-unsupported',
    'the machine has no local disk to put the memory beside: name a memoryFile',
  );
}

/**
 * Where a disk of the machine lies the look has asked already.
 *
 * @throws {Refusal} `no-space`
 */
export async function requireSpace(
  { place }: Errand,
  files: readonly string[],
  { disks }: Sight,
): Promise<void> {
  for (const directory of new Set(files.map((file) => posix.dirname(file)))) {
    const beside = disks.find(
      ({ file, freeBytes }) => freeBytes !== null && posix.dirname(file) === directory,
    );
    const freeBytes = beside?.freeBytes ?? (await place.world.files.freeBytes(directory));
    if (freeBytes >= FREE_BYTES_MIN) continue;
    throw new Refusal(
      'no-space',
      `${freeBytes} bytes are free in ${directory}, where ${FREE_BYTES_MIN} are needed`,
    );
  }
}

interface Planned extends Pick<Start, 'memoryFile' | 'quiesce'> {
  readonly internal: readonly SeenDisk[];
  readonly overlays: readonly PlannedLayer[];
  readonly backups: readonly PlannedBackup[];
}

/** In words, in order: what will be done, and what takes it back. */
export function wordsFor(
  { id }: Readonly<Snapshot>,
  { disksBy }: CapturePlan,
  { internal, overlays, memoryFile, backups, quiesce }: Planned,
): Pick<Start, 'plan' | 'undo'> {
  const tag = tagOf(id);
  const put = internal.map(({ device }) => `${disksBy}: put ${tag} on ${device}`);
  const top = overlays.map(
    ({ device, file, backing }) => `${disksBy}: let ${device} go on in ${file}, on top of ${backing}`,
  );
  const save = memoryFile ? [`save the memory into ${memoryFile.file}`] : [];
  const copy = backups.map(({ device, sync, target }) => `copy ${device} (${sync}) into ${target}`);
  const freeze = quiesce?.agent ? ['freeze the file systems of the guest'] : [];
  const thaw = quiesce?.agent ? ['thaw the file systems of the guest'] : [];
  const toFiles = memoryFile?.format === 'stream' ? [...copy, ...save] : [...save, ...copy];
  return {
    plan: [...freeze, ...put, ...top, ...thaw, ...toFiles],
    undo: [
      ...thaw,
      ...backups.map(({ target, by }) =>
        by === 'create' ? `unlink what there is of ${target}` : `leave ${target} as it is then`,
      ),
      ...internal.map(({ device }) => `remove ${tag} from ${device}`),
      ...overlays.map(({ device, file, backing, by }) =>
        by === 'create'
          ? `copy what ${device} wrote into ${file} down into ${backing} and unlink it, or keep it where that is refused`
          : `leave ${file}, under ${device} if the machine went on in it`,
      ),
      ...(memoryFile ? [`unlink what there is of ${memoryFile.file}`] : []),
    ],
  };
}

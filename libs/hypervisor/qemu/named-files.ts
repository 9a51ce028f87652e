import { posix } from 'node:path';
import { Refusal, snapshotOfTag, tagOf, type Vm } from '#ledger';
import type { ImageInfo } from '#qmp';
import type { FileStat } from '#world';
import type { Errand } from '../errand.ts';
import { type ImageAt, protocolOf } from './images.ts';
import { realFile } from '../look/devices.ts';
import { isLocalFile, type SeenDisk, type Sight } from '../look/sight.ts';
import { insideRoots, notAllowed, reached, requirePlain } from './paths.ts';
import type { Place } from '../place.ts';
import { together } from '../together.ts';
import { Thwarted } from '../trouble.ts';

/* Files that an operation makes, or that a caller has made for it. QEMU wipes whatever lies where it makes one. */

/**
 * Where a new file may be made, without symbolic links.
 *
 * @throws {Refusal} `path-not-allowed` outside the roots, in a directory that is not there, or where something lies
 */
export async function requireNewFile(place: Place, vm: Readonly<Vm>, path: string): Promise<string> {
  const resolved = await requireInside(place, vm, path);
  const directory = await reached(path, place.world.files.stat(posix.dirname(resolved)));
  if (directory?.kind !== 'directory') throw notAllowed(`there is no directory for ${path}`);
  return reached(path, requireNothingAt(place, resolved));
}

/**
 * The path, when nothing bears the name: not even a link that leads nowhere, for what is made through one lies where
 * it says.
 *
 * @throws {Refusal} `path-not-allowed`
 */
export async function requireNothingAt({ world }: Place, path: string): Promise<string> {
  const names = await world.files.list(posix.dirname(path));
  if (!names.includes(posix.basename(path)) && (await world.files.stat(path)) === null) return path;
  throw notAllowed(`${path} exists already: it would be wiped; name another file, or say mode "existing"`);
}

/**
 * The directory of an image, for what is to lie beside it.
 *
 * @throws {Refusal} `disk-unsupported` for a block device: what is put beside one lies in memory
 */
export async function requireHome({ world }: Place, { device, file }: Home): Promise<string> {
  if ((await protocolOf(world, file)) === 'file') return posix.dirname(file);
  throw new Refusal(
    'disk-unsupported',
    `disk "${device}" is the block device ${file}, beside which no file can lie: say where it is to be made`,
  );
}

type Home = Pick<SeenDisk, 'device' | 'file'>;

/** A local disk that is a file, for what is to lie beside any of them; null when there is none. */
export async function homeAmong({ world }: Place, { disks }: Sight): Promise<SeenDisk | null> {
  for (const disk of disks) {
    if (!isLocalFile(disk.file) || disk.readOnly) continue;
    if ((await protocolOf(world, disk.file)) === 'file') return disk;
  }
  return null;
}

/**
 * Empty files where an operation is about to make some. Since nothing was found to lie there somebody may have made
 * something, which would be wiped. Throws `Thwarted`.
 */
export async function takeNames(
  { place, memory, operationId }: Errand,
  files: readonly string[],
): Promise<void> {
  const strange = (): readonly string[] => memory.strange.get(operationId) ?? [];
  const take = async (file: string): Promise<void> => {
    if (!(await place.world.files.makeNew(file))) memory.strange.set(operationId, [...strange(), file]);
  };
  await together(files.map((file) => () => take(file)));
  const first = files.find((file) => strange().includes(file));
  if (first === undefined) return;
  throw new Thwarted('path-not-allowed', `${first} was made by somebody else meanwhile: it would be wiped`);
}

/** A file that is to be made, and the node that it is to be. */
export interface NamedFile {
  readonly file: string;
  readonly node: string;
}

/**
 * What a file is called while it is made. What a caller has named may be somebody else's by the time that a successor
 * finds it, so it is made under a name of ours, and gets the caller's in one step: where there is a draft, the file is
 * not ours.
 */
export function draftOf(snapshotId: string, { file, node }: NamedFile): string {
  if (bearsName(file, snapshotId)) return file;
  const number = node.slice(node.lastIndexOf('-'));
  return posix.join(posix.dirname(file), `${tagOf(snapshotId)}${number}.part`);
}

/** Gives drafts the names that their callers have chosen. Safe to repeat. Throws `Thwarted` where something lies. */
export async function publish(
  errand: Errand,
  snapshotId: string,
  files: readonly NamedFile[],
): Promise<void> {
  const { world } = errand.place;
  for (const named of files) {
    const draft = draftOf(snapshotId, named);
    if (draft === named.file || (await world.files.stat(draft)) === null) continue;
    await takeNames(errand, [named.file]); // A renaming would wipe what lies there.
    await world.files.rename(draft, named.file);
  }
}

/** Whether a file is called as only what is made for this snapshot is. */
export const bearsName = (file: string, snapshotId: string): boolean =>
  posix.basename(file).startsWith(tagOf(snapshotId));

/** The id that a file is called after as only what the ledger names is: `sl-<id>-1.qcow2`; null for any other name. */
export const idInName = (file: string): string | null =>
  snapshotOfTag(posix.basename(file).slice(0, 'sl-'.length + 36));

/** Whether a file that the operation was to make is somebody else's. */
export const isStrange = ({ memory, operationId }: Errand, file: string): boolean =>
  memory.strange.get(operationId)?.includes(file) ?? false;

/**
 * Two names may lead to one file, of which the second to be made would wipe the first.
 *
 * @throws {Refusal} `path-not-allowed`
 */
export function requireApart(files: readonly string[]): void {
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined) throw notAllowed(`${twice} is to be two files at once`);
}

/**
 * An image that the caller has made: unused, as large as the disk, and standing on what it is to stand on.
 *
 * @throws {Refusal} `path-not-allowed`, naming what is wrong with it
 */
export async function requireExistingImage(
  place: Place,
  vm: Readonly<Vm>,
  { file: path, format }: ImageAt,
  wanted: { readonly virtualSizeBytes: number; readonly backing: ImageAt | null },
): Promise<string> {
  const resolved = await requireInside(place, vm, path);
  const found = await reached(path, place.world.files.stat(resolved));
  if (found?.kind !== 'file') throw notAllowed(found ? `${path} is a ${found.kind}` : `there is no ${path}`);
  await requireNobodys(place, vm, path, found);
  const seen = await place.images.info({ file: resolved, format }, 'alone');
  if (seen.kind !== 'seen') throw notAllowed(`${path} cannot be used as ${format}: ${seen.words}`);
  await requireBacking(place, { path, format }, { info: seen.info, wanted: wanted.backing });
  const { virtualSizeBytes, snapshots } = seen.info;
  if (virtualSizeBytes !== wanted.virtualSizeBytes) {
    throw notAllowed(`${path} has ${virtualSizeBytes} bytes, the disk has ${wanted.virtualSizeBytes}`);
  }
  if (snapshots.length > 0) throw notAllowed(`${path} holds snapshots: somebody uses it`);
  return resolved;
}

/** A file may bear several names, and be a disk or the memory of a machine under another one of them. */
async function requireNobodys(
  { world, claimedBesides }: Place,
  { id, layers, snapshots }: Readonly<Vm>,
  path: string,
  { identity }: FileStat,
): Promise<void> {
  const memories = [...snapshots.values()].flatMap(({ memory }) => memory.file ?? []);
  const others = (await claimedBesides(id)).map(({ file }) => file);
  for (const file of [...layers.keys(), ...memories, ...others]) {
    const known = await world.files.stat(file);
    if (known?.identity === identity) throw notAllowed(`${path} is ${file}, which a VM has already`);
  }
}

async function requireBacking(
  { world }: Place,
  { path, format }: { path: string; format: string },
  { info, wanted }: { info: ImageInfo; wanted: ImageAt | null },
): Promise<void> {
  const { backingFile, backingFormat } = info;
  const backing = backingFile === null ? null : await realFile(world.files, backingFile);
  if (backing !== (wanted?.file ?? null)) {
    throw notAllowed(
      `${path} stands on ${backing ?? 'nothing'}, not on ${wanted?.file ?? 'nothing'}, as it must`,
    );
  }
  // QEMU would guess, by bytes that a guest may have written.
  if (wanted && !isSaid(format, backingFormat, wanted)) {
    throw notAllowed(
      `${path} says that ${backing} is ${backingFormat ?? 'of no format'}, and it is ${wanted.format}`,
    );
  }
}

/** The header of a qed image only tells whether what lies below is raw; all else begins with bytes of its own. */
const isSaid = (format: string, said: string | null, below: ImageAt): boolean =>
  said === below.format || (said === null && format === 'qed' && below.format !== 'raw');

async function requireInside({ world, imageRoots }: Place, vm: Readonly<Vm>, path: string): Promise<string> {
  requirePlain(path);
  // What bears such a name is taken for the ledger's own, and removed when no snapshot explains it.
  if (idInName(path) !== null) throw notAllowed(`${path}: only the ledger calls files "sl-" and an id`);
  const roots = imageRoots.length > 0 ? imageRoots : ownDirectories(vm);
  const resolved = await insideRoots(world.files, roots, path);
  if (resolved === null) throw notAllowed(`${path} lies in no image root (--image-root ${roots.join(', ')})`);
  return resolved;
}

const ownDirectories = ({ disks }: Readonly<Vm>): string[] => [
  ...new Set(disks.filter(({ file }) => file.startsWith('/')).map(({ file }) => posix.dirname(file))),
];

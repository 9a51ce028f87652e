import type { Layer, Leftover, Vm } from '#ledger';
import { headerBacking } from '../look/chain-check.ts';
import { holdsMemoryOf } from '../create/memory-files.ts';
import type { DeletePlan } from './delete-plan.ts';
import { bearsName } from '../qemu/named-files.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Start } from '../journal.ts';
import { NotNow } from '../not-now.ts';
import { chainWith, closeFile, lookAtOpenImages, type OpenImages } from '../look/open-images.ts';
import type { Place } from '../place.ts';
import type { Power } from '../look/sight.ts';
import { together } from '../together.ts';
import { troubleIn } from '../trouble.ts';
import { unlinkForGood } from '../unlink-for-good.ts';

/** @throws {Error} for a file that the log does not name: whoever planned it is not who wrote the log */
export function requireNamed({ unlinks = [] }: Start, files: readonly string[]): void {
  const unnamed = files.find((file) => !unlinks.includes(file));
  if (unnamed !== undefined) throw new Error(`${unnamed} would be unlinked, and the log does not name it`);
}

/**
 * Unlinks what may go, those on top first, and each file only when no layer that stays, no other VM and nobody's device
 * stands on it. Returns what could not be unlinked, and why. A file that is gone already is a success.
 *
 * @throws {NotNow} when somebody else has a file open
 */
export async function unlinkAll(
  errand: Errand,
  { layers }: Pick<Vm, 'layers'>,
  { plan, power }: { plan: DeletePlan; power: Power },
): Promise<Leftover[]> {
  if (plan.unlinks.length === 0) return [];
  const staying = [...layers.values()].filter(({ file }) => !plan.change.gone.includes(file));
  const heirs = await heirsOf(errand, staying);
  for (const { file, vmId } of await errand.place.claimedBesides(errand.vm.id)) heirs.set(file, `VM ${vmId}`);
  const going: string[] = [];
  for (const file of plan.unlinks) if (!(await isReplaced(errand, plan, file))) going.push(file);
  const formatOf = (file: string): string | undefined => layers.get(file)?.format;
  const free = going.filter((file) => !heirs.has(file));
  const closed = await closeForGood(
    errand.place,
    free.map((file) => ({ file, format: formatOf(file), power, modifiedAt: errand.down.get(file) })),
  );
  const leftovers: Leftover[] = [];
  for (const file of going) {
    const { device = '', backing = null } = layers.get(file) ?? {};
    const why = heirs.has(file)
      ? `${heirs.get(file)} stands on it`
      : await whyLeft(errand, { file, device }, closed);
    if (why === null) continue;
    leftovers.push({ device, file, tag: '', why: `it could not be unlinked: ${why}` });
    if (backing !== null) heirs.set(backing, file); // Whoever tries again may copy from it once more, and reads all of it.
  }
  return leftovers;
}

/** Why a file was not unlinked; null when it was. Throws as `unlinkAll` does. */
async function whyLeft(
  { place, steps }: Errand,
  { file, device }: { file: string; device: string },
  closed: Closed,
): Promise<string | null> {
  const trouble = await troubleIn(() =>
    steps.take('unlink the file', device || null, () => unlinkClosed(place, file, closed)),
  );
  if (trouble?.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
  return trouble?.words ?? null;
}

/** Whether a caller's memory file is another one by now, which is told and left alone. */
async function isReplaced(
  { place, steps }: Errand,
  { targets }: Pick<DeletePlan, 'targets'>,
  file: string,
): Promise<boolean> {
  const snapshot = targets.find(({ memory }) => memory.file === file);
  if (!snapshot || bearsName(file, snapshot.id) || (await holdsMemoryOf(place, snapshot)) !== false)
    return false;
  steps.skip(`leave ${file}: it is not what the memory of snapshot ${snapshot.id} was saved into`, null);
  return true;
}

/** By file, a layer whose header names it. */
async function heirsOf({ place }: Errand, layers: readonly Layer[]): Promise<Map<string, string>> {
  const heirs = new Map<string, string>();
  const backings = await together(layers.map((layer) => () => headerBacking(place, layer)));
  for (const [index, { file }] of layers.entries()) {
    const backing = backings[index];
    if (typeof backing === 'string') heirs.set(backing, file);
  }
  return heirs;
}

export interface Unlinking {
  readonly file: string;
  /** Absent: it is no image, or one that nobody but us could have open. */
  readonly format?: string | undefined;
  readonly power: Power;
  /** Until when QEMU had the lock to write it, in the clock's monotonic ms: so long nobody else had it open. */
  readonly lockedUntilMs?: number | undefined;
  /** When it was written last, if all that it held by then is kept elsewhere. */
  readonly modifiedAt?: number | undefined;
}

export interface Closed {
  /** By file, what keeps it from being unlinked; absent when nothing does. */
  readonly obstacles: ReadonlyMap<string, unknown>;
  /** By file, what it is of which it was looked who has it open. */
  readonly looked: ReadonlyMap<string, Unlinking>;
  /** When that was, in the clock's monotonic ms. */
  readonly lookedAtMs: number;
}

/** A machine may be started from a file that nobody has open. After this long it is looked again. */
const CLOSED_AGE_MAX_MS = 1_000;

/**
 * Closes files that are to go, and looks whether other processes have them open: for all of them at once, because that
 * takes longer than everything else. Throws what QEMU refuses of the look at what it has open.
 */
export async function closeForGood(place: Place, files: readonly Unlinking[]): Promise<Closed> {
  const obstacles = new Map<string, unknown>();
  const looked = new Map(files.map((one) => [one.file, one]));
  const lockedUntilMs = files.flatMap((one) => one.lockedUntilMs ?? []);
  const closed = { obstacles, looked, lookedAtMs: Math.min(place.world.clock.monotonic(), ...lockedUntilMs) };
  const unlessRefused = async (file: string, work: () => Promise<void>): Promise<void> => {
    try {
      if (!obstacles.has(file)) await work();
    } catch (error) {
      obstacles.set(file, error); // It is thrown when this file's turn comes.
    }
  };
  const [first] = files;
  if (!first) return closed;
  const open = await lookAtOpenImages(place, first.power);
  for (const { file } of files) await unlessRefused(file, () => closeUnderNobody(place, open, file));
  const asked = files.map((one) => (one.lockedUntilMs === undefined ? one : { ...one, format: undefined }));
  await together(asked.map((one) => () => unlessRefused(one.file, () => requireNobodys(place, one))));
  return closed;
}

async function closeUnderNobody(place: Place, open: OpenImages, file: string): Promise<void> {
  if (chainWith(open, file)) throw new NotNow('machine-busy', `QEMU still has ${file} under a disk`);
  await closeFile(place, open, file);
}

async function requireNobodys(
  { images, world }: Place,
  { file, format, modifiedAt }: Unlinking,
): Promise<void> {
  if (format !== undefined && (await images.isInUse({ file, format }))) {
    throw new NotNow('machine-busy', `somebody else has ${file} open`);
  }
  if (modifiedAt === undefined) return;
  const found = await world.files.stat(file);
  if (found && found.modifiedAt !== modifiedAt)
    throw new NotNow('machine-busy', `${file} was written after all that it held had gone down`, 0);
}

/**
 * Removes a closed file from its directory for good. Throws what QEMU and the file system refuse.
 *
 * @throws {NotNow} when a device stands on it, or another process has it open
 */
export async function unlinkClosed(
  place: Place,
  file: string,
  { obstacles, looked, lookedAtMs }: Closed,
): Promise<void> {
  if (obstacles.has(file)) throw obstacles.get(file);
  const { world } = place;
  await pass(world, 'hypervisor.before-unlink');
  const one = looked.get(file);
  if (one && world.clock.monotonic() - lookedAtMs > CLOSED_AGE_MAX_MS) await requireNobodys(place, one);
  await unlinkForGood(world, file);
  await pass(world, 'hypervisor.after-unlink');
}

/** Both for one file. Throws as they do. */
export async function closeAndUnlink(errand: Errand, unlinking: Unlinking): Promise<void> {
  const { place } = errand;
  const { file } = unlinking;
  const closed = await closeForGood(place, [{ ...unlinking, modifiedAt: errand.down.get(file) }]);
  await unlinkClosed(place, file, closed);
}

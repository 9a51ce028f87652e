import { posix } from 'node:path';
import type { Astray, CommandOf, Vm } from '#ledger';
import { LAYER_LOOKS_MAX, POWER_TIMEOUT_MS } from '../bounds.ts';
import { filesBelow, type StandingImage } from '../look/below.ts';
import { backingOf, seenTag } from '../look/devices.ts';
import { driftOf } from './drift.ts';
import type { FileSight } from './drift-of-snapshot.ts';
import { pass } from '../fault-points.ts';
import { idInName } from '../qemu/named-files.ts';
import { foreignTags, ledgerDisks } from '../look/known-disks.ts';
import { look, reach } from '../look/look.ts';
import { powerThroughMonitor } from '../look/look-through-monitor.ts';
import { NotNow } from '../not-now.ts';
import type { Place } from '../place.ts';
import { isLocalFile, type Sight } from '../look/sight.ts';
import { attempt, troubleIn } from '../trouble.ts';
import { astrayIn, wrongChains } from './wrong-chain.ts';
import { wrongCurrent } from './wrong-current.ts';
import { isClosed } from '../load/closed-disk.ts';

/* A look at all that a VM consists of, while nobody works on it. */

/** What a survey has come to, as the ledger wants it reported. */
export interface Survey extends Omit<CommandOf<'ReportDrift'>, 'type'> {
  /** Files that the machine reads and does not write, and that are no layers of it. */
  readonly below: string[];
}

/** Layers that nobody writes do not change: what was seen of a file, and when it was that file. */
export type LayerLooks = Map<string, { readonly stamp: string; readonly sight: FileSight }>;

/**
 * Looks for drift. Changes nothing, but for a machine on a wrong chain, or on nothing at all, which is stopped before it
 * writes more of it.
 * Throws as `look` does.
 */
export async function survey(place: Place, vm: Readonly<Vm>, looks: LayerLooks): Promise<Survey> {
  const sight = await look(place, 'shared');
  const isWrong = wrongChains(vm, sight).length > 0 || sight.disks.some(isClosed);
  // Of one that is held for something else an operator knows already: whoever works on it is not stopped.
  const stopped = isWrong && vm.hold === null && (await stopWrong(place, sight));
  const files = await lookAtFiles(place, vm, sight, looks);
  const findings = driftOf(vm, { sight, files, strays: await straysOf(place, vm) });
  // Of new disks only a machine tells that stands where it should.
  const isKnown = isWrong || sight.power === 'off' || wrongCurrent(vm, sight).length > 0;
  return {
    disks: isKnown ? [...vm.disks] : ledgerDisks(sight, vm.disks),
    foreignTags: isKnown ? [...vm.foreignTags] : foreignTags(sight, vm),
    findings,
    below: await filesBelow(place, sight, { layers: vm.layers, images: lowestOf(vm, files) }),
    stopped,
  };
}

/** Below these the ledger knows nothing. */
function lowestOf({ layers }: Readonly<Vm>, files: ReadonlyMap<string, FileSight>): StandingImage[] {
  return [...layers.values()].flatMap(({ file, format, backing }) => {
    const seen = backing === null ? files.get(file) : undefined;
    return seen?.kind === 'seen' ? [{ file, format, backing: seen.backing }] : [];
  });
}

/**
 * Whether it ran and stands still now. What one that has died meanwhile has spoiled is told all the same.
 *
 * @throws {NotNow} when nobody knows whether it does
 */
async function stopWrong(place: Place, { power }: Pick<Sight, 'power'>): Promise<boolean> {
  if (power !== 'running' || place.onWrongChain === 'report') return false;
  const { held } = place.line;
  await pass(place.world, 'hypervisor.before-power');
  const trouble = await troubleIn(() => held.execute('stop', {}, { timeoutMs: POWER_TIMEOUT_MS }));
  await pass(place.world, 'hypervisor.after-power');
  const { result, trouble: unseen } = await attempt(() => powerThroughMonitor(held));
  const lost = trouble?.kind === 'unknown' ? trouble : unseen;
  if (!lost) return result !== 'running';
  if ((await reach(place)) === null) return false;
  throw new NotNow('host-unreachable', lost.words);
}

/** Why nothing is done to a machine, and what is to be put on record of it. */
export interface StoppedAstray {
  readonly message: string;
  readonly astray: Astray;
}

/**
 * What an operation fails of whose machine is on a wrong chain, which is stopped; null when it stands right. What this look
 * alone tells goes on record with the failure: by the next one the machine may be off.
 *
 * @throws {NotNow} when it would not stop
 */
export async function stopAstray(
  place: Place,
  vm: Readonly<Vm>,
  sight: Sight,
): Promise<StoppedAstray | null> {
  const findings = astrayIn(vm, sight);
  const [wrong] = findings;
  if (!wrong) return null;
  const stopped = await stopWrong(place, sight);
  return { message: wrong.message, astray: { findings, stopped } };
}

/** The layers below the disks, and what memory lies in. */
export async function lookAtFiles(
  place: Pick<Place, 'world' | 'images'>,
  vm: Readonly<Vm>,
  sight: Sight,
  looks: LayerLooks,
): Promise<ReadonlyMap<string, FileSight>> {
  const tops = new Set(sight.disks.map(({ file }) => file));
  const kept = [...vm.snapshots.values()].flatMap(({ disks, memory }) => [
    ...disks.map(({ file }) => ({ file, format: vm.layers.get(file ?? '')?.format ?? 'qcow2' })),
    { file: memory.file, format: memory.format === 'stream' ? null : 'qcow2' },
  ]);
  const wanted = new Map<string, string | null>();
  for (const { file, format } of [...vm.layers.values(), ...kept]) {
    if (file !== undefined && isLocalFile(file) && !tops.has(file)) wanted.set(file, format);
  }
  const files = new Map<string, FileSight>();
  for (const [file, format] of wanted) files.set(file, await lookAtFile(place, { file, format }, looks));
  return files;
}

async function lookAtFile(
  { world, images }: Pick<Place, 'world' | 'images'>,
  { file, format }: { file: string; format: string | null },
  looks: LayerLooks,
): Promise<FileSight> {
  const stat = await world.files.stat(file);
  if (stat === null) return { kind: 'gone' };
  if (format === null) return { kind: 'there' };
  const stamp = [stat.identity, stat.sizeBytes, stat.modifiedAt, stat.changedAt].join(' ');
  const known = looks.get(file);
  if (known?.stamp === stamp) return known.sight;
  const found = await images.info({ file, format }, 'shared');
  const sight: FileSight =
    found.kind === 'seen'
      ? {
          kind: 'seen',
          tags: found.info.snapshots.map(seenTag),
          backing: await backingOf(world.files, found.info),
        }
      : { kind: 'there' };
  if (looks.size >= LAYER_LOOKS_MAX) looks.clear();
  looks.set(file, { stamp, sight });
  return sight;
}

/** Files that bear the name of a snapshot or of a load of this VM, beside its disks, and that nobody knows. */
export async function straysOf({ world }: Pick<Place, 'world'>, vm: Readonly<Vm>): Promise<string[]> {
  const known = new Set([
    ...vm.layers.keys(),
    ...[...vm.snapshots.values()].flatMap(({ memory, disks }) => [
      memory.file,
      ...disks.map(({ file }) => file),
    ]),
  ]);
  const local = [...vm.layers.keys()].filter(isLocalFile);
  const strays: string[] = [];
  for (const directory of new Set(local.map((file) => posix.dirname(file)))) {
    for (const name of await world.files.list(directory)) {
      const file = posix.join(directory, name);
      const id = idInName(name) ?? '';
      if ((vm.usedIds.has(id) || vm.loadIds.has(id)) && !known.has(file)) strays.push(file);
    }
  }
  return strays.toSorted();
}

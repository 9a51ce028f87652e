import { posix } from 'node:path';
import {
  type DiskCapture,
  type Leftover,
  type PinWish,
  type PlannedLayer,
  type PlannedPin,
  Refusal,
  tagOf,
  type VmState,
} from '#ledger';
import { capture } from '../create/capture.ts';
import { behindPlaceholders } from './closed-disk.ts';
import type { Errand, OperationOf } from '../errand.ts';
import { findCapture, type Found } from '../create/evidence.ts';
import { nodeNameOf, removeNode } from '../qemu/graph.ts';
import { homeAmong } from '../qemu/named-files.ts';
import type { Place } from '../place.ts';
import { NotNow } from '../not-now.ts';
import { ImageRefused } from '../qemu/images.ts';
import type { Pinned, Start } from '../journal.ts';
import { topsOf } from './load-tops.ts';
import { machineFor } from '../look/machine-config.ts';
import { observe } from '../look/observe.ts';
import { removeTags, standing } from '../delete/removal.ts';
import { canHoldTags, type SeenDisk, type Sight } from '../look/sight.ts';
import { troubleIn } from '../trouble.ts';
import { unlinkForGood } from '../unlink-for-good.ts';

/* Before a load leaves the present it saves it: a disk that gets a new top keeps its old one as it is, every other one
   gets a tag. */

/** What one load saves of the present, and whether it has. */
export class Pin {
  readonly #errand: Errand;
  readonly #wish: PinWish | undefined;
  #isSaved: boolean;

  constructor(errand: Errand, operation: OperationOf<'load'>) {
    this.#errand = errand;
    this.#wish = operation.request.pin;
    this.#isSaved = operation.isPinned;
  }

  /** The load may have acted from then on. */
  get isSaved(): boolean {
    return this.#isSaved;
  }

  /** Whether there is something to save that is not saved yet. */
  get isDue(): boolean {
    return this.#wish !== undefined && !this.#isSaved;
  }

  /**
   * Saves the present of a machine that stands still or is off, once. What is half saved of an earlier try is removed
   * first. Throws what QEMU and qemu-img refuse.
   *
   * @throws {NotNow} when the machine may have gone on meanwhile
   */
  async save(start: Start, sight: Sight): Promise<void> {
    if (!this.#wish || !this.isDue) return;
    const errand = { ...this.#errand, operationId: this.#wish.snapshotId }; // Its jobs must not look like the load's.
    const { line } = errand.place;
    const held = sight.power === 'off' ? null : line.held;
    const planned = await plannedPin(errand.place, start, this.#wish, sight);
    const captured = pinStart(start, this.#wish, planned, sight);
    const wanted = { ...captured, ...(await machineFor(errand.place, captured.memory)) };
    const [left] = await removeHalf(errand, planned, wanted, sight);
    if (left) throw new ImageRefused(`what was half saved of the present is still there: ${left.why}`);
    if (wanted.memory !== 'none' || Object.keys(wanted.files).length > 0)
      await capture(errand, wanted, sight);
    const seen = await behindPlaceholders(errand.place, errand.vm.disks, await observe(errand, 'in-files'));
    const found = await findCapture(errand, wanted, seen);
    if (held && (!held.isOpen || line.held !== held))
      throw new NotNow(
        'machine-gone',
        'QEMU was lost while the present was saved: it may have gone on since',
      );
    if (!found.isWhole) throw new ImageRefused('what was to be saved of the present is not on every disk');
    await errand.journal.pinned(this.#pinned(start, wanted, { found, seen }));
    this.#isSaved = true;
  }

  /** Takes back what was saved of it, and tells what is left. The load that wanted it does not happen. */
  async undo(start: Start, sight: Sight): Promise<Leftover[]> {
    if (!this.#wish || !this.isDue) return [];
    const planned = await plannedPin(this.#errand.place, start, this.#wish, sight);
    return removeHalf(this.#errand, planned, pinStart(start, this.#wish, planned, sight), sight);
  }

  #pinned(start: Start, wanted: Start, { found, seen }: { found: Found; seen: Sight }): Pinned {
    const { operationId } = start;
    const { vmState } = wanted;
    const { disks: known } = this.#errand.vm;
    const swapped = new Set(topsOf(start).map(({ device }) => device));
    const disks = seen.disks.map(({ device }): DiskCapture => {
      if (swapped.has(device)) return { device, mode: 'external' };
      return { device, mode: device in wanted.files ? 'internal' : 'none' };
    });
    const contents = known
      .filter(({ device }) => swapped.has(device))
      .map(({ device, file }) => ({ snapshotId: wanted.snapshotId ?? '', device, file }));
    return {
      operationId,
      disks,
      vmState,
      memory: found.memory ?? { mode: 'none' },
      consistency: consistencyOf(start, wanted),
      evidence: [...found.evidence],
      ...(contents.length > 0 && { layers: { set: [], gone: [], tops: [], contents } }),
    };
  }
}

function consistencyOf(start: Start, { memory }: Start): Pinned['consistency'] {
  if (start.vmState === 'shutoff') return 'offline';
  return memory === 'none' ? 'crash' : 'memory';
}

/** What a load is to save of the present, as its journal tells it. */
interface Saving extends Pick<Start, 'plan' | 'undo'> {
  readonly pinned: Pick<Start, 'pin'>;
}

/**
 * What is saved of the present, for the log to know before the first of it is touched.
 *
 * @throws {Refusal} `disk-unsupported` when there is no place for the memory
 */
export async function planSaving(
  place: Place,
  wish: PinWish | undefined,
  tops: readonly PlannedLayer[],
  sight: Sight,
): Promise<Saving> {
  if (!wish) return { plan: [], undo: [], pinned: {} };
  const pin = await planPin(place, wish, tops, sight);
  return { ...wordsOfPin(wish, pin, tops, sight), pinned: { pin } };
}

/** Throws as `planSaving` does. */
async function planPin(
  place: Place,
  { snapshotId, what }: PinWish,
  tops: readonly PlannedLayer[],
  sight: Sight,
): Promise<PlannedPin> {
  const tagged = taggedBy(tops, sight);
  const files = Object.fromEntries(tagged.map(({ device, file }) => [device, file]));
  const isInDisks = tagged.length > 0 && tagged.length === writableOf(sight).length;
  if (what === 'disks' || sight.power === 'off' || isInDisks) return { snapshotId, files };
  const home = await homeAmong(place, sight);
  if (!home)
    throw new Refusal(
      'disk-unsupported',
      'the machine has no local disk to put its memory beside, before it is left: save the disks only',
    );
  const memoryFile = posix.join(posix.dirname(home.file), `${tagOf(snapshotId)}-memory.qcow2`);
  return { snapshotId, files, memoryFile };
}

/** In words, what is saved of the present, what is not, and what takes that back. */
function wordsOfPin(
  { what }: PinWish,
  { snapshotId, files, memoryFile }: PlannedPin,
  tops: readonly PlannedLayer[],
  sight: Sight,
): Pick<Start, 'plan' | 'undo'> {
  const tag = tagOf(snapshotId);
  const tagged = Object.keys(files);
  const isInDisks = what === 'memory' && sight.power !== 'off' && memoryFile === undefined;
  const isKept = (device: string): boolean => tops.some((top) => top.device === device);
  return {
    plan: [
      ...tagged.map((device) => `save the present of ${device}: put ${tag} on it`),
      ...writableOf(sight).flatMap(({ device, file, format }) => {
        if (isKept(device)) return `save the present of ${device}: keep ${file} as it is`;
        if (tagged.includes(device)) return [];
        return `save nothing of ${device}: the load leaves it as it is, and ${format} holds no tag`;
      }),
      ...(isInDisks ? [`save the present memory with ${tag}`] : []),
      ...(memoryFile === undefined ? [] : [`save the present memory into ${memoryFile}`]),
    ],
    undo: [
      ...tagged.map((device) => `remove ${tag} from ${device}`),
      ...(memoryFile === undefined ? [] : [`unlink ${memoryFile}`]),
    ],
  };
}

const writableOf = ({ disks }: Sight): SeenDisk[] => disks.filter(({ readOnly }) => !readOnly);

/** Disks that get no new top, and so keep nothing of the present unless they get a tag. */
const taggedBy = (tops: readonly PlannedLayer[], sight: Sight): SeenDisk[] =>
  writableOf(sight).filter((disk) => canHoldTags(disk) && !tops.some(({ device }) => device === disk.device));

/**
 * The capture that a pin is, in the words of one that somebody asked for. Its `overlays` are empty: the disks that get
 * new tops need none.
 */
function pinStart(start: Start, { what }: PinWish, planned: PlannedPin, sight: Sight): Start {
  const { snapshotId, files, memoryFile: file } = planned;
  const tagged = taggedBy(topsOf(start), sight).filter(({ device }) => device in files);
  const vmState = vmStateNow(start, sight);
  const memory = what === 'memory' && vmState !== 'shutoff' ? 'internal' : 'none';
  return {
    operationId: start.operationId,
    snapshotId,
    worker: start.worker,
    wasRunning: false, // It stands still by now, and stays so until the load is over.
    nodes: Object.fromEntries(tagged.map(({ device, node }) => [device, node])),
    files: Object.fromEntries(tagged.map((disk) => [disk.device, disk.file])),
    plan: [],
    undo: [],
    vmState,
    memory,
    ...(memory !== 'none' && file !== undefined && { memoryFile: memoryFileAt(snapshotId, file) }),
  };
}

/** It may have died since the load began, or have been started: then it stands still by now. */
const vmStateNow = ({ vmState }: Start, { power }: Sight): VmState => {
  if (power === 'off') return 'shutoff';
  return vmState === 'shutoff' ? 'paused' : vmState;
};

/** A log of an earlier release does not tell. */
const plannedPin = async (place: Place, start: Start, wish: PinWish, sight: Sight): Promise<PlannedPin> =>
  start.pin ?? planPin(place, wish, topsOf(start), sight);

const memoryFileAt = (snapshotId: string, file: string): NonNullable<Start['memoryFile']> => ({
  file,
  node: nodeNameOf(snapshotId, 0),
  format: 'state',
});

/**
 * What is there of it; returns what is left. The memory may have been begun while the machine was on, though it is off
 * by now.
 */
async function removeHalf(
  errand: Errand,
  planned: PlannedPin,
  wanted: Start,
  sight: Sight,
): Promise<Leftover[]> {
  const tags = [tagOf(planned.snapshotId)];
  const isTagged = standing(sight, tags).length > 0;
  const rest = isTagged
    ? await removeTags(errand, { start: wanted, tags, trust: 'in-files' }, sight)
    : { leftovers: [] };
  return [...rest.leftovers, ...(await removeMemory(errand, planned, sight))];
}

async function removeMemory(
  { place, steps }: Errand,
  { snapshotId, memoryFile }: PlannedPin,
  { power }: Sight,
): Promise<Leftover[]> {
  if (memoryFile === undefined) return [];
  const { file, node } = memoryFileAt(snapshotId, memoryFile);
  if (power !== 'off') await troubleIn(() => removeNode(place, node)); // Open or not, it is of no use.
  if ((await place.world.files.stat(file)) === null) return [];
  const trouble = await troubleIn(() =>
    steps.take('unlink the memory of the present', null, () => unlinkForGood(place.world, file)),
  );
  return trouble ? [{ device: '', file, tag: '', why: trouble.words }] : [];
}

import { posix } from 'node:path';
import { type DiskCapture, type PinWish, tagOf, type VmState } from '#ledger';
import { capture } from '../create/capture.ts';
import { behindPlaceholders } from './closed-disk.ts';
import type { Errand, OperationOf } from '../errand.ts';
import { findCapture, type Found } from '../create/evidence.ts';
import { nodeNameOf, removeNode } from '../qemu/graph.ts';
import { ImageRefused } from '../qemu/images.ts';
import type { Pinned, Start } from '../journal.ts';
import { topsOf } from './load-tops.ts';
import { machineFor } from '../look/machine-config.ts';
import { observe } from '../look/observe.ts';
import { removeTags, standing } from '../delete/removal.ts';
import { canHoldTags, isLocalFile, type Sight } from '../look/sight.ts';

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
   */
  async save(start: Start, sight: Sight): Promise<void> {
    if (!this.#wish || !this.isDue) return;
    const errand = { ...this.#errand, operationId: this.#wish.snapshotId }; // Its jobs must not look like the load's.
    const planned = pinStart(start, this.#wish, sight);
    const wanted = { ...planned, ...(await machineFor(errand.place, planned.memory)) };
    await removeHalf(errand, wanted, sight);
    if (wanted.memory !== 'none' || Object.keys(wanted.files).length > 0)
      await capture(errand, wanted, sight);
    const seen = await behindPlaceholders(errand.place, errand.vm.disks, await observe(errand, 'in-files'));
    const found = await findCapture(errand, wanted, seen);
    if (!found.isWhole) throw new ImageRefused('what was to be saved of the present is not on every disk');
    await errand.journal.pinned(this.#pinned(start, wanted, { found, seen }));
    this.#isSaved = true;
  }

  /** Takes back what was saved of it. The load that wanted it does not happen. */
  async undo(start: Start, sight: Sight): Promise<void> {
    if (this.#wish && this.isDue) await removeHalf(this.#errand, pinStart(start, this.#wish, sight), sight);
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

/**
 * The capture that a pin is, in the words of one that somebody asked for. Its `overlays` are empty: the disks that get
 * new tops need none.
 */
export function pinStart(start: Start, { snapshotId, what }: PinWish, sight: Sight): Start {
  const swapped = new Set(topsOf(start).map(({ device }) => device));
  const writable = sight.disks.filter(({ readOnly }) => !readOnly);
  const tagged = writable.filter((disk) => !swapped.has(disk.device) && canHoldTags(disk));
  const vmState = vmStateNow(start, sight);
  const memory = what === 'memory' && vmState !== 'shutoff' ? 'internal' : 'none';
  const isInDisk = tagged.length > 0 && tagged.length === writable.length;
  const memoryFile = memory === 'none' || isInDisk ? null : memoryFileOf(snapshotId, sight);
  if (memory !== 'none' && !isInDisk && !memoryFile)
    throw new ImageRefused('the machine has no local disk to put its memory beside');
  return {
    operationId: start.operationId,
    snapshotId,
    worker: start.worker,
    wasRunning: false, // It stands still by now, and stays so until the load is over.
    nodes: Object.fromEntries(tagged.map(({ device, node }) => [device, node])),
    files: Object.fromEntries(tagged.map(({ device, file }) => [device, file])),
    plan: [],
    undo: [],
    vmState,
    memory,
    ...(memoryFile && { memoryFile }),
  };
}

/** It may have died since the load began, or have been started: then it stands still by now. */
const vmStateNow = ({ vmState }: Start, { power }: Sight): VmState => {
  if (power === 'off') return 'shutoff';
  return vmState === 'shutoff' ? 'paused' : vmState;
};

/** Null when the machine has no local disk to put it beside. */
function memoryFileOf(snapshotId: string, { disks }: Sight): NonNullable<Start['memoryFile']> | null {
  const home = disks.find(({ file, readOnly }) => !readOnly && isLocalFile(file));
  if (!home) return null;
  const file = posix.join(posix.dirname(home.file), `${tagOf(snapshotId)}-memory.qcow2`);
  return { file, node: nodeNameOf(snapshotId, 0), format: 'state' };
}

async function removeHalf(errand: Errand, wanted: Start, sight: Sight): Promise<void> {
  const tags = [tagOf(wanted.snapshotId ?? '')];
  if (standing(sight, tags).length > 0)
    await removeTags(errand, { start: wanted, tags, trust: 'in-files' }, sight);
  // Begun while the machine was on, perhaps, though it is off by now and no memory is wanted any more.
  const memoryFile = memoryFileOf(wanted.snapshotId ?? '', sight);
  if (!memoryFile) return;
  if (sight.power !== 'off') await removeNode(errand.place, memoryFile.node);
  await errand.place.world.files.unlink(memoryFile.file);
}

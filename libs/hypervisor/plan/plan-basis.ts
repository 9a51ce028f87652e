import { createHash } from 'node:crypto';
import { type OpenOperation, Refusal } from '#ledger';
import type { Start } from '../journal.ts';
import type { SeenDisk, Sight } from '../look/sight.ts';

/**
 * A digest of what a plan rests on: how the machine is, and what is therefore to be done. Neither time nor the ids that
 * were made up for the operation make a difference.
 */
export function basisOf({ power, disks }: Sight, start: Start, operation: OpenOperation): string {
  const todo = [...start.plan, ...(start.unlinks ?? [])].map((words) => anonymous(words, operation));
  const found = disks.map(diskIn).toSorted((one, other) => (one.device < other.device ? -1 : 1));
  const text = JSON.stringify([power, found, start.memory, todo]);
  return createHash('sha256').update(text).digest('hex');
}

/** Node names are left out: QEMU makes up new ones at every start. */
const diskIn = (disk: SeenDisk) => ({
  device: disk.device,
  format: disk.format,
  file: disk.file,
  backing: disk.backing,
  readOnly: disk.readOnly,
  virtualSizeBytes: disk.virtualSizeBytes,
  hasDirtyBitmaps: disk.hasDirtyBitmaps,
  tags: disk.tags.map(({ tag, nativeId, isListed }) => `${nativeId} ${tag} ${isListed}`).toSorted(),
});

/** Files that an operation makes are called after it, or after the snapshot that it takes. */
function anonymous(words: string, operation: OpenOperation): string {
  const own = [operation.id, ...madeUpFor(operation)];
  return own.reduce((text, id, index) => text.replaceAll(id, `id-${index}`), words);
}

function madeUpFor(operation: OpenOperation): string[] {
  switch (operation.kind) {
    case 'create':
      return [operation.snapshotId];
    case 'load':
      return operation.request.pin ? [operation.request.pin.snapshotId] : [];
    case 'delete':
      return [];
  }
}

/**
 * Whoever accepted a plan gets that plan or none.
 *
 * @throws {Refusal} `plan-changed`
 */
export function requireAsPlanned(sight: Sight, start: Start, operation: OpenOperation): void {
  const plan = operation.kind === 'delete' ? operation.plan : operation.request.plan;
  if (!plan || basisOf(sight, start, operation) === plan.basis) return;
  throw new Refusal('plan-changed', 'the machine is not what it was when the plan was made');
}

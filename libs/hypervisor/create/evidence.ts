import {
  type Consistency,
  type DiskEvidence,
  type LayerChange,
  type PlannedLayer,
  type Quiesced,
  type Report,
  type SnapshotMemory,
  tagOf,
} from '#ledger';
import { madeBackups } from './backup.ts';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { headerBacking } from '../look/chain-check.ts';
import { bearsName } from '../qemu/named-files.ts';
import { isQuietEnough, quiescedOf } from './quiesce.ts';
import { ending } from '../report.ts';
import { diskOf, hasForGood, type Sight } from '../look/sight.ts';
import { streamFound } from './stream-files.ts';

/** What a look finds of a capture. */
export interface Found {
  /** Its tag, disk by disk. */
  readonly evidence: readonly DiskEvidence[];
  /** The overlays that the machine stands on. */
  readonly tops: readonly PlannedLayer[];
  /** Where its memory is; null when it should have some and has none. */
  readonly memory: SnapshotMemory | null;
  /**
   * Whether it is all there, and of one instant: its tag exactly once on every disk it began with, every overlay in use and,
   * where memory belongs to it, the memory. Memory is written last, so one death cannot leave it without the others.
   */
  readonly isTaken: boolean;
  /** Whether, beyond that, every copy is whole and the guest was frozen if it had to be. */
  readonly isWhole: boolean;
}

/** Throws as `look` does. */
export async function findCapture(errand: Errand, start: Start, sight: Sight): Promise<Found> {
  const tag = tagOf(start.snapshotId ?? '');
  const evidence = evidenceOf(start, sight);
  const tops = await topsInUse(errand, start, sight);
  const saved = await memoryFound(errand, start, { evidence, tops });
  const memory = saved && { ...saved, ...(start.machine && { config: start.machine }) };
  const isOnEveryDisk = Object.keys(start.files).every((device) => {
    const disk = diskOf(sight, device);
    return disk !== undefined && hasForGood(disk, tag);
  });
  const isOnEveryLayer = isOnEveryDisk && tops.length === (start.overlays?.length ?? 0);
  const isTaken = isOnEveryLayer && memory !== null && isOfOneInstant(errand, start);
  const isCopied = start.backups === undefined || errand.memory.copied.has(errand.operationId);
  const isWhole = isTaken && isCopied && isQuietEnough(errand, start);
  return { evidence, tops, memory, isTaken, isWhole };
}

/** Nothing on the disks tells whether a machine that was off has run while they were captured: only who was there knows. */
const isOfOneInstant = ({ memory, operationId }: Errand, { vmState, files }: Start): boolean =>
  vmState !== 'shutoff' || Object.keys(files).length < 2 || memory.ofOneInstant.has(operationId);

function evidenceOf(start: Start, sight: Sight): DiskEvidence[] {
  const tag = tagOf(start.snapshotId ?? '');
  return Object.keys(start.files).flatMap((device) => {
    const disk = diskOf(sight, device);
    const seen = disk?.tags.find((one) => one.tag === tag);
    if (!disk || !seen) return [];
    const { nativeId, dateMs: date, vmClockNs, vmStateSizeBytes } = seen;
    return { device, file: disk.file, tag, nativeId, date, vmClockNs, vmStateSizeBytes };
  });
}

/**
 * The machine goes on in all overlays or in none: it was one transaction. Of a QEMU that has died only data in one of
 * them tells; as long as all are empty, nothing was lost by taking them for unused.
 */
async function topsInUse(errand: Errand, start: Start, sight: Sight): Promise<readonly PlannedLayer[]> {
  const { overlays = [] } = start;
  if (sight.power !== 'off') {
    return overlays.filter(({ device, file }) => diskOf(sight, device)?.file === file);
  }
  const states = await Promise.all(overlays.map((overlay) => contentOfOurs(errand, start, overlay)));
  if (start.vmState === 'shutoff') return overlays.filter((_, index) => IS_IMAGE.has(states[index]));
  if (!states.includes('data') && !states.includes('unreadable')) return [];
  return overlays.filter((_, index) => states[index] !== 'missing'); // Taken back already, by somebody who died then.
}

const IS_IMAGE: ReadonlySet<Content | undefined> = new Set<Content>(['empty', 'data']);

/** What a caller has named another may have made an image of, which no machine has gone on in. */
async function contentOfOurs(errand: Errand, { snapshotId }: Start, overlay: PlannedLayer): Promise<Content> {
  const content = await contentOf(errand, overlay);
  if (overlay.by !== 'create' || bearsName(overlay.file, snapshotId ?? '')) return content;
  const backing = await headerBacking(errand.place, overlay);
  return backing === undefined || backing === overlay.backing ? content : 'missing';
}

type Content = 'missing' | 'empty' | 'data' | 'unreadable';

/** What an image holds of its own. A file of no bytes is none yet: whoever was to fill it has died. */
export async function contentOf(
  { place }: Errand,
  { file, format }: Pick<PlannedLayer, 'file' | 'format'>,
): Promise<Content> {
  const found = await place.world.files.stat(file);
  if (found === null || found.sizeBytes === 0) return 'missing';
  const isEmpty = await place.images.isEmpty({ file, format });
  if (isEmpty === null) return 'unreadable';
  return isEmpty ? 'empty' : 'data';
}

async function memoryFound(
  errand: Errand,
  start: Start,
  { evidence, tops }: Pick<Found, 'evidence' | 'tops'>,
): Promise<SnapshotMemory | null> {
  const { memory: mode, memoryFile, snapshotId } = start;
  if (mode === 'none') return { mode };
  if (!memoryFile) {
    const marker = evidence.find(({ vmStateSizeBytes }) => vmStateSizeBytes > 0);
    return marker ? { mode, device: marker.device, sizeBytes: marker.vmStateSizeBytes } : null;
  }
  if (memoryFile.format === 'stream')
    return streamFound(errand, start, { memoryFile, isBegun: evidence.length + tops.length > 0 });
  const { file, format } = memoryFile;
  const seen = await errand.place.images.info({ file, format: 'qcow2' }, 'shared');
  const saved =
    seen.kind === 'seen'
      ? seen.info.snapshots.find(({ name }) => name === tagOf(snapshotId ?? ''))
      : undefined;
  return saved && saved.vmStateSize > 0 ? { mode, file, format, sizeBytes: saved.vmStateSize } : null;
}

/** The end of a create that is all there, whoever took it and however it went. Not `runs`: QEMU would not let it. */
export async function reportCreated(
  errand: Errand,
  start: Start,
  found: Found,
  runs = true,
): Promise<Report> {
  const { snapshotId } = start;
  const layers = found.tops.length === 0 ? null : layersWith(found.tops, snapshotId);
  const quiesce = quiescedOf(errand, start);
  const created = {
    ...(await ending(errand)),
    vmState: start.vmState,
    memory: found.memory ?? { mode: start.memory },
    consistency: consistencyOf(start, quiesce),
    evidence: [...found.evidence],
    ...(layers && { layers }),
    ...(start.backups && { backups: await madeBackups(errand, start) }),
    ...(quiesce && { quiesce }),
    ...(!runs && { runs }),
  };
  return { type: 'ReportCreated', created };
}

/** The overlays as layers of ours. What they stand on is frozen, and holds what the snapshot keeps; null: nobody's. */
export const layersWith = (tops: readonly PlannedLayer[], snapshotId: string | null): LayerChange => ({
  set: tops.map(({ device, file, format, backing }) => ({ device, file, format, backing, origin: 'ours' })),
  gone: [],
  tops: tops.map(({ device, node, file, format }) => ({ device, node, file, format })),
  contents: snapshotId
    ? tops.flatMap(({ device, backing }) => (backing === null ? [] : [{ snapshotId, device, file: backing }]))
    : [],
});

/** What a capture can be trusted with, once it is known what came of the freeze. */
export function consistencyOf({ vmState, memory }: Start, quiesced: Quiesced | undefined): Consistency {
  if (vmState === 'shutoff') return 'offline';
  if (memory !== 'none') return 'memory';
  return quiesced?.achieved === 'filesystem' ? 'filesystem' : 'crash';
}

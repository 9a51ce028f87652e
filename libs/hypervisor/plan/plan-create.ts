import { type DiskEvidence, type PlannedBackup, tagOf } from '#ledger';
import type { Errand } from '../errand.ts';
import { consistencyOf, layersWith } from '../create/evidence.ts';
import type { Start } from '../journal.ts';
import { memoryBytes } from '../look/machine-config.ts';
import { CONT, GOING_ON, standing, STOP } from './plan-estimates.ts';
import type { Foreseen } from './foreseen.ts';
import { quiesceForeseen } from '../create/quiesce.ts';
import { diskOf, isLocalFile, type Sight } from '../look/sight.ts';

/** What a create would do that begins like this. */
export async function foreseeCreate(errand: Errand, start: Start, sight: Sight): Promise<Foreseen> {
  const { overlays = [], backups = [], memoryFile } = start;
  const memory = start.memory === 'none' ? 0 : await memoryBytes(errand.place.line.held);
  const made = [...overlays.map(fileIn), ...(memoryFile ? [memoryFile.file] : []), ...backups.map(targetIn)];
  const copied = await Promise.all(backups.map((backup) => copiedBytes(errand, backup, sight)));
  const isStopped = start.wasRunning && start.memory !== 'none';
  const bytes = copied.reduce((sum, more) => sum + more, memory);
  return {
    commands: commandsOf(start, isStopped),
    filesCreated: made.flatMap((file) => file ?? []),
    filesUnlinked: [],
    snapshotsDiscarded: [],
    bytes,
    stops: isStopped
      ? standing(isStreamed(start) ? bytes : memory, Object.keys(start.nodes).length)
      : GOING_ON,
    report: { type: 'ReportCreated', created: createdBy(start) },
  };
}

type Made = { readonly by: 'create' | 'existing' | 'copy' };

/** What the caller has made is there already. */
const fileIn = ({ file, by }: Made & { readonly file: string }): string | null =>
  by === 'existing' ? null : file;

const targetIn = ({ target, by }: PlannedBackup): string | null => fileIn({ file: target, by });

/** The copies go on when the machine does, but where its memory can be sent only after them. */
function commandsOf(start: Start, isStopped: boolean): string[] {
  const { plan, backups = [] } = start;
  if (!isStopped) return [...plan];
  const copiesFrom = isStreamed(start) ? plan.length : plan.length - backups.length;
  return [STOP, ...plan.slice(0, copiesFrom), CONT, ...plan.slice(copiesFrom)];
}

const isStreamed = ({ memoryFile }: Start): boolean => memoryFile?.format === 'stream';

async function copiedBytes(
  { place }: Errand,
  { device, sync }: PlannedBackup,
  sight: Sight,
): Promise<number> {
  const disk = diskOf(sight, device);
  if (!disk || sync === 'none') return 0; // Only what is overwritten from then on.
  if (!isLocalFile(disk.file)) return disk.virtualSizeBytes;
  return (await place.images.dataBytes(disk, sync === 'full' ? 'whole' : 'own')) ?? disk.virtualSizeBytes;
}

function createdBy(start: Start) {
  const { operationId, snapshotId, vmState, memory: mode, memoryFile, overlays = [] } = start;
  const layers = overlays.length === 0 ? null : layersWith(overlays, snapshotId);
  const holder = Object.keys(start.files).at(-1); // QEMU puts the memory into the last one.
  const inDisk = mode === 'internal' && holder !== undefined ? { device: holder } : {};
  const place = memoryFile ? { file: memoryFile.file, format: memoryFile.format } : inDisk;
  return {
    ...{ operationId, steps: [], transcriptDigest: '', vmState },
    memory: { mode, ...place },
    consistency: consistencyOf(start, quiesceForeseen(start)),
    evidence: Object.entries(start.files).map(([device, file]) =>
      tagged(device, file, tagOf(snapshotId ?? '')),
    ),
    ...(layers && { layers }),
  };
}

/** QEMU's own numbers are known once it is there. */
const tagged = (device: string, file: string, tag: string): DiskEvidence => ({
  ...{ device, file, tag, nativeId: '', date: 0, vmClockNs: 0, vmStateSizeBytes: 0 },
});

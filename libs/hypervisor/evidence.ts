import { type Consistency, type DiskEvidence, type Report, tagOf } from '#ledger';
import type { Errand } from './errand.ts';
import type { Start } from './journal.ts';
import { ending } from './report.ts';
import { diskOf, hasForGood, type Sight } from './sight.ts';

/**
 * Whether a capture is all there: its tag exactly once on every disk it began with and, where memory belongs to it,
 * the memory on one of them. Memory is written with the last disk, so one death cannot leave it without the others.
 */
export function isComplete(start: Start, sight: Sight): boolean {
  const tag = tagOf(start.snapshotId ?? '');
  const devices = Object.keys(start.files);
  const isEverywhere = devices.every((device) => {
    const disk = diskOf(sight, device);
    return disk !== undefined && hasForGood(disk, tag);
  });
  const hasMemory = evidenceOf(start, sight).some(({ vmStateSizeBytes }) => vmStateSizeBytes > 0);
  return isEverywhere && (start.memory === 'none' || hasMemory);
}

/** What the look found of the capture, disk by disk. */
export function evidenceOf(start: Start, sight: Sight): DiskEvidence[] {
  const tag = tagOf(start.snapshotId ?? '');
  return Object.keys(start.files).flatMap((device) => {
    const disk = diskOf(sight, device);
    const seen = disk?.tags.find((one) => one.tag === tag);
    if (!disk || !seen) return [];
    const { nativeId, dateMs: date, vmClockNs, vmStateSizeBytes } = seen;
    return { device, file: disk.file, tag, nativeId, date, vmClockNs, vmStateSizeBytes };
  });
}

/** The end of a create that is all there, whoever took it and however it went. */
export async function reportCreated(errand: Errand, start: Start, sight: Sight): Promise<Report> {
  const evidence = evidenceOf(start, sight);
  const marker = evidence.find(({ vmStateSizeBytes }) => vmStateSizeBytes > 0);
  const memory = marker
    ? { mode: start.memory, device: marker.device, sizeBytes: marker.vmStateSizeBytes }
    : { mode: start.memory };
  const created = {
    ...(await ending(errand)),
    vmState: start.vmState,
    memory,
    consistency: consistencyOf(start),
    evidence,
  };
  return { type: 'ReportCreated', created };
}

function consistencyOf({ vmState, memory }: Start): Consistency {
  if (vmState === 'shutoff') return 'offline';
  return memory === 'internal' ? 'memory' : 'crash';
}

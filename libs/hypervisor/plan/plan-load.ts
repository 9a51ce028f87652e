import type { Snapshot } from '#ledger';
import type { Errand, OperationOf } from '../errand.ts';
import { layersWith } from '../create/evidence.ts';
import type { Start } from '../journal.ts';
import { howItGoesOn } from '../load/load.ts';
import { whatBecomesFree } from '../load/load-aftermath.ts';
import { topsOf } from '../load/load-tops.ts';
import { memoryBytes } from '../look/machine-config.ts';
import { CONT, GOING_ON, standing, STOP } from './plan-estimates.ts';
import type { Foreseen, Stops } from './foreseen.ts';
import type { Sight } from '../look/sight.ts';

/** What a load would do that begins like this. */
export async function foreseeLoad(
  errand: Errand,
  operation: OperationOf<'load'>,
  start: Start,
  sight: Sight,
): Promise<Foreseen> {
  const tops = topsOf(start);
  const isSaved = operation.request.pin?.what === 'memory' && sight.power !== 'off';
  const savedBytes = isSaved ? await memoryBytes(errand.place.line.held) : 0;
  const memoryFile = start.pin?.memoryFile;
  const snapshot = errand.vm.snapshots.get(operation.snapshotId);
  const isStopped = sight.power === 'running';
  const isOn = sight.power !== 'off' || start.launch !== undefined;
  const runs = isOn && goesOn(operation, snapshot) === 'running';
  const replaced = whatBecomesFree(errand.vm, operation, { tops, spared: start.spared }).pins.map(
    ({ id }) => id,
  );
  return {
    commands: commandsOf(start, { isStopped, runs }),
    filesCreated: [...tops.map(({ file }) => file), ...(memoryFile === undefined ? [] : [memoryFile])],
    filesUnlinked: [...(start.unlinks ?? [])],
    snapshotsDiscarded: replaced,
    bytes: savedBytes + (await copiedBytes(errand, start)),
    stops: isStopped ? standsFor(start, savedBytes, snapshot) : GOING_ON,
    report: { type: 'ReportLoaded', loaded: loadedBy(start, runs), replaced },
  };
}

const goesOn = ({ request }: OperationOf<'load'>, snapshot: Snapshot | undefined) =>
  howItGoesOn(request.resume, snapshot?.vmState ?? null);

function standsFor({ memory, nodes }: Start, savedBytes: number, snapshot: Snapshot | undefined): Stops {
  const loadedBytes = memory === 'none' ? 0 : (snapshot?.memory.sizeBytes ?? 0);
  return standing(savedBytes + loadedBytes, Object.keys(nodes).length);
}

const loadedBy = (start: Start, runs: boolean) => ({
  ...{ operationId: start.operationId, steps: [], transcriptDigest: '', runs },
  ...(topsOf(start).length > 0 && { layers: layersWith(topsOf(start), null) }),
});

/** The files go last, when the machine goes on again. */
function commandsOf(
  { plan, unlinks = [] }: Start,
  { isStopped, runs }: { isStopped: boolean; runs: boolean },
): string[] {
  const unlinksFrom = plan.length - unlinks.length;
  return [
    ...(isStopped ? [STOP] : []),
    ...plan.slice(0, unlinksFrom),
    ...(runs ? [CONT] : []),
    ...plan.slice(unlinksFrom),
  ];
}

/** Layers with the snapshot inside are copied as they are, with every other snapshot that they hold. */
async function copiedBytes({ place }: Errand, start: Start): Promise<number> {
  const sources = topsOf(start).flatMap(({ by, source }) => (by === 'copy' && source ? [source] : []));
  const found = await Promise.all(sources.map((file) => place.world.files.stat(file)));
  return found.reduce((sum, stat) => sum + (stat?.sizeBytes ?? 0), 0);
}

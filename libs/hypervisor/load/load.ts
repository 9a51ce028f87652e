import { Refusal, type Report, type Resume, type Snapshot, tagOn, type VmState } from '#ledger';
import { behindPlaceholders, isClosed } from './closed-disk.ts';
import type { Errand, OperationOf, Way } from '../errand.ts';
import type { Start } from '../journal.ts';
import { whatBecomesFree } from './load-aftermath.ts';
import { sparedAmong } from '../delete/spared.ts';
import { type LoadAsk, requireSameDisks, whyNotLoadable } from './load-check.ts';
import { loadImages, recoverImages } from './load-images.ts';
import { launchFor, launchWords } from './load-launch.ts';
import { loadLive, recoverLive } from './load-live.ts';
import type { Loading } from './load-loading.ts';
import { loadMachine, recoverMachine } from './load-machine.ts';
import { machineIn, requireSameConfig } from '../look/machine-config.ts';
import { Pin, planSaving } from './load-pin.ts';
import { type LoadPlan, needsOf, planLoad } from './load-plan.ts';
import { restLoaded } from './load-loaded.ts';
import { loadAnew, startLoaded, startsLast } from './load-restart.ts';
import { loadStarted } from './load-started.ts';
import { topsOf } from './load-tops.ts';
import { observe } from '../look/observe.ts';
import { withLeftovers } from '../report.ts';
import { requireAtRest, requireResumable } from '../look/run-states.ts';
import { diskOf, type Sight, vmStateOf } from '../look/sight.ts';
import { requireStream } from '../create/stream-files.ts';

/** A load rolls forward: nothing on a disk says which snapshot it is at, so only the whole load makes it whole. */
export function loading(errand: Errand, operation: OperationOf<'load'>, snapshot: Readonly<Snapshot>): Way {
  const { resume, disksOnly } = operation.request;
  const ask: LoadAsk = {
    snapshot,
    resume,
    goesOn: howItGoesOn(resume, snapshot.vmState),
    withMemory: snapshot.memory.mode !== 'none' && !disksOnly,
  };
  const begun = (start: Start): Loading => ({
    operation,
    start,
    wish: { ...ask, needs: needsOf(ask, start) },
    pin: new Pin(errand, operation),
  });
  return {
    admit: (sight) => admit(errand, operation, ask, sight),
    act: (start, sight) => withoutHalfPin(errand, begun(start), (load) => act(errand, load, sight)),
    recover: (start) =>
      operation.isLoaded
        ? rest(errand, begun(start))
        : withoutHalfPin(errand, begun(start), (load) => recover(errand, load)),
  };
}

/** Of a load that failed, however it failed, nothing stays that was to be saved and that the log does not name. */
async function withoutHalfPin(
  errand: Errand,
  load: Loading,
  work: (load: Loading) => Promise<Report>,
): Promise<Report> {
  const report = await work(load);
  if (report.type !== 'ReportFailed' || !load.pin.isDue) return report;
  return withLeftovers(report, await load.pin.undo(load.start, await observe(errand, 'in-files')));
}

/** How the machine goes on after a load, if it is on. */
export const howItGoesOn = (resume: Resume, captured: VmState | null): LoadAsk['goesOn'] => {
  if (resume === 'as-captured') return captured === 'running' ? 'running' : 'paused';
  return resume;
};

function act(errand: Errand, begun: Loading, sight: Sight): Promise<Report> {
  switch (meansOf(begun)) {
    case 'started':
      return loadStarted(errand, begun, (paused, found) => act(errand, paused, found));
    case 'anew':
      return loadAnew(errand, begun);
    case 'images':
      return loadImages(errand, begun);
    case 'one-job':
      return loadMachine(errand, begun, sight);
    case 'live':
      return loadLive(errand, begun, sight);
  }
}

function recover(errand: Errand, begun: Loading): Promise<Report> {
  switch (meansOf(begun)) {
    case 'started':
      return loadStarted(errand, begun, (paused) => recover(errand, paused));
    case 'anew':
      return loadAnew(errand, begun);
    case 'images':
      return recoverImages(errand, begun);
    case 'one-job':
      return recoverMachine(errand, begun);
    case 'live':
      return recoverLive(errand, begun);
  }
}

/** All is in place. A machine that is off may still have to be started on it. */
const rest = (errand: Errand, begun: Loading): Promise<Report> =>
  restLoaded(errand, begun, startsLast(begun) ? (loading) => startLoaded(errand, loading) : null);

/**
 * By what a load is carried out: by qemu-img, by one job of QEMU's, by moving images under a machine that stands, or
 * with a QEMU that is started for it.
 */
function meansOf({ start, wish }: Loading): 'images' | 'one-job' | 'live' | 'started' | 'anew' {
  if (start.launch) return start.launch === 'before' ? 'started' : 'anew';
  if (start.vmState === 'shutoff') return 'images';
  if (Object.values(start.nodes).some((node) => isClosed({ node }))) return 'live'; // Of a load that was held.
  return wish.needs.withMemory && topsOf(start).length === 0 ? 'one-job' : 'live';
}

async function admit(
  errand: Errand,
  operation: OperationOf<'load'>,
  ask: LoadAsk,
  found: Sight,
): Promise<Start> {
  const { place, vm, operationId, worker } = errand;
  const sight = await behindPlaceholders(place, vm.disks, found);
  if (sight.power !== 'off') await requireFitting(errand, ask, sight);
  requireAtRest(sight);
  const plan = await planLoad(errand, ask, sight);
  const files = Object.fromEntries(plan.inPlace.map(({ device, file }) => [device, file]));
  const { tops, memoryFile } = plan;
  const launch = launchFor(place, ask, plan, sight.power);
  if (memoryFile?.format === 'stream') await requireStream(place, ask.snapshot.memory);
  const obstacle = whyNotLoadable(sight, needsOf(ask, { files, ...(memoryFile && { memoryFile }) }));
  if (obstacle) throw new Refusal(obstacle.reason, obstacle.message);
  const moved = [...plan.inPlace, ...tops.flatMap(({ device }) => diskOf(sight, device) ?? [])];
  const spared = await sparedAmong(errand, vm);
  const { files: unlinks } = whatBecomesFree(vm, operation, { tops, spared });
  const saving = await planSaving(place, operation.request.pin, tops, sight);
  return {
    operationId,
    snapshotId: ask.snapshot.id,
    worker,
    wasRunning: sight.power === 'running',
    nodes: Object.fromEntries(moved.map(({ device, node }) => [device, node])),
    files,
    plan: [...saving.plan, ...wordsFor(ask, plan, { unlinks, launching: launchWords(launch, sight.power) })],
    undo: [...saving.undo, ...tops.map(({ file }) => `unlink ${file}, unless the machine goes on in it`)],
    vmState: vmStateOf(sight.power),
    memory: ask.withMemory ? ask.snapshot.memory.mode : 'none',
    ...(tops.length > 0 && { overlays: [...tops] }),
    ...(memoryFile && { memoryFile }),
    ...(unlinks.length > 0 && { unlinks: [...unlinks] }),
    ...(spared.length > 0 && { spared }),
    ...(launch && { launch }),
    ...saving.pinned,
  };
}

function wordsFor(
  { snapshot, withMemory }: LoadAsk,
  { inPlace, tops, memoryFile }: LoadPlan,
  { unlinks, launching }: { unlinks: readonly string[]; launching: ReturnType<typeof launchWords> },
): string[] {
  const tag = tagOn(snapshot);
  return [
    ...launching.first,
    ...tops.map(({ device, file, by, source, backing }) =>
      by === 'copy'
        ? `let ${device} go on in ${file}, a copy of ${source ?? ''} taken back to ${tag}`
        : `let ${device} go on in ${file}, on top of ${backing ?? 'nothing'}`,
    ),
    ...inPlace.map(({ device }) => `load ${tag} into ${device}`),
    ...launching.last,
    ...(memoryFile ? [`load the memory from ${memoryFile.file}`] : []),
    ...(withMemory || launching.last.length > 0 ? [] : ['reset the machine, if it is on']),
    ...unlinks.map((file) => `unlink ${file}`),
  ];
}

/** @throws {Refusal} `needs-power-on`, `config-mismatch` */
async function requireFitting(
  { place }: Errand,
  { snapshot, withMemory }: LoadAsk,
  sight: Sight,
): Promise<void> {
  if (!withMemory) return;
  if (snapshot.memory.format !== 'stream') requireResumable(sight);
  requireSameConfig(snapshot.memory.config, await machineIn(place, sight));
  requireSameDisks(
    sight,
    [...snapshot.disks, ...snapshot.evidence].map(({ device }) => device),
  );
}

import {
  type DiskEvidence,
  evolve,
  type FailureCode,
  type Layer,
  type Leftover,
  type Report,
  stoodOn,
  tagOn,
  type Vm,
} from '#ledger';
import { buriedAmong, removeBuried } from './buried-tags.ts';
import { machineAfter, whyNotAsKnown } from '../look/chain-check.ts';
import { isClosed } from '../load/closed-disk.ts';
import { requireClosable, requireFoldable, requireWritable } from './delete-check.ts';
import { type DeletePlan, isLossy, planDelete, wordsOf } from './delete-plan.ts';
import type { Errand, OperationOf, Way } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { foldAll, type FoldStop, stateOfFold } from './fold.ts';
import { awaitFoldJobs } from './fold-job.ts';
import type { Start } from '../journal.ts';
import { whyDamaged } from '../look/mend.ts';
import { nameTops } from './name-tops.ts';
import { NotNow } from '../not-now.ts';
import { observe, observeTrouble, powerNow, withUnplugged } from '../look/observe.ts';
import { closeIdle, lookAtOpenImages } from '../look/open-images.ts';
import { type Spared, sparedAmong } from './spared.ts';
import { letRunOn } from '../qemu/power.ts';
import { removeStopSign } from '../qemu/stop-sign.ts';
import { removeTags, type Rest, standing } from './removal.ts';
import { ending, failed, held } from '../report.ts';
import { requireAtRest } from '../look/run-states.ts';
import { canHoldTags, diskOf, listsAll, type Sight, vmStateOf } from '../look/sight.ts';
import { layersSoFar } from './layers-so-far.ts';
import { reasonOf } from '../trouble.ts';
import { requireNamed, unlinkAll } from './unlinking.ts';
import { presenceOf } from '../unlink-for-good.ts';

type Delete = OperationOf<'delete'>;

/** A delete, and what there is to know of it before anything is touched. */
interface Deletion {
  readonly operation: Delete;
  /** The machine with the disks that it has now. */
  readonly vm: Vm;
  readonly plan: DeletePlan;
}

/** Over several disks a delete can never be one step of QEMU's, so it rolls forward. A missing tag is a success. */
export function deleting(errand: Errand, operation: Delete): Way {
  return {
    async admit(sight) {
      const spared = await sparedAmong(errand, errand.vm);
      return { ...(await admit(errand, deletionOf(errand, operation, spared), sight)), ...told(spared) };
    },
    async act(start, sight) {
      const deletion = deletionOf(errand, operation, start.spared);
      return act(errand, start, deletion, await fullSight(errand, deletion, start, sight));
    },
    recover: (start) => recover(errand, start, deletionOf(errand, operation, start.spared)),
  };
}

const told = (spared: Spared): Pick<Start, 'spared'> => (spared.length > 0 ? { spared } : {});

/** A delete of the machine as it is: what the look found otherwise than the ledger believed counts as recorded. */
export function deletionOf({ vm, place }: Errand, operation: Delete, spared: Spared = []): Deletion {
  const { disks } = place;
  const data = { disks: [...disks], foreignTags: [...vm.foreignTags] };
  const present = evolve({ ...vm, layers: new Map(vm.layers) }, { type: 'DisksChanged', data, id: '' });
  return { operation, vm: present, plan: planDelete(present, operation, spared) };
}

/** The disks that the targets stood on go along, though they may be unplugged by now. */
async function admit(errand: Errand, { operation, vm, plan }: Deletion, sight: Sight): Promise<Start> {
  requireAtRest(sight);
  const disks = sight.disks.filter(canHoldTags);
  const evidence = evidenceOf(plan);
  for (const one of evidence) requireWritable(sight, one);
  const stood = stoodOn(vm);
  requireClosable(
    sight,
    buriedAmong(plan.tags, sight).filter(({ file }) => stood.has(file)),
  );
  await requireFoldable(errand, vm, plan, sight);
  const unplugged = evidence.filter(({ device }) => !diskOf(sight, device));
  return {
    operationId: operation.id,
    snapshotId: operation.snapshotId,
    worker: errand.worker,
    wasRunning: sight.power === 'running',
    nodes: Object.fromEntries(sight.disks.map(({ device, node }) => [device, node])), // Tags may lie under any of them.
    files: Object.fromEntries([...unplugged, ...disks].map(({ device, file }) => [device, file])),
    plan: wordsOf(plan),
    undo: [],
    vmState: vmStateOf(sight.power),
    memory: 'none',
    ...(plan.unlinks.length > 0 && { unlinks: [...plan.unlinks] }),
  };
}

/** What QEMU lists is believed where it is all that should be there. */
function fullSight(errand: Errand, { plan }: Deletion, start: Start, sight: Sight): Promise<Sight> {
  return listsAll(sight, evidenceOf(plan)) || sight.power === 'off'
    ? withUnplugged(errand, start, sight)
    : observeTrouble(errand, start, 'needed');
}

/** Where the targets stood when they were captured. */
const evidenceOf = ({ targets }: DeletePlan): DiskEvidence[] => targets.flatMap(({ evidence }) => evidence);

/** Somebody began it. Jobs that still copy are waited for, and what died with QEMU is mended, before anything goes on. */
async function recover(errand: Errand, start: Start, deletion: Deletion): Promise<Report> {
  await awaitFoldJobs(errand);
  const sight = await observeTrouble(errand, start, 'needed');
  const { memory, operationId } = errand;
  if (!memory.signed.has(operationId)) memory.stopped.set(operationId, false); // That QEMU is gone.
  if (sight.power === 'off') {
    const targets = deletion.plan.folds.map((fold) => (fold.how === 'pull' ? fold.into : fold.base));
    errand.damage = [...errand.damage, ...(await mendLayers(errand, targets))];
  }
  return act(errand, start, deletion, sight);
}

async function mendLayers({ place }: Errand, layers: readonly Layer[]): Promise<Leftover[]> {
  const damage: Leftover[] = [];
  for (const { device, file, format } of layers) {
    const why = await whyDamaged(place.images, { file, format }, 'needed');
    if (why !== null) damage.push({ device, file, tag: '', why });
  }
  return damage;
}

/** First what copies, then what takes away: until something is taken away all of it could still be given up. */
async function act(errand: Errand, start: Start, deletion: Deletion, sight: Sight): Promise<Report> {
  const { world } = errand.place;
  requireNamed(start, deletion.plan.unlinks);
  await pass(world, 'hypervisor.before-act');
  const folded = await orRunOn(errand, deletion, () => fold(errand, start, deletion, sight));
  if ('stop' in folded) return stopped(errand, deletion, folded.stop);
  const cleared = await orRunOn(errand, deletion, () => clear(errand, start, deletion, folded.seen));
  await pass(world, 'hypervisor.after-act');
  const runs = await runsOn(errand, deletion);
  const layers = await layersSoFar(errand, deletion, { done: deletion.plan.folds, seen: folded.seen });
  const { rest, leftovers } = cleared;
  if (leftovers.length === 0 && errand.damage.length === 0) {
    const done = { ...(await ending(errand)), ...(layers && { layers }), ...(!runs && { runs }) };
    return { type: 'ReportDeleted', deleted: done };
  }
  const isUntouched =
    errand.isFirst && isNothingElse(deletion, folded.seen) && isAsBefore(rest, sight, deletion);
  const why = orStuck(whyFailed(rest, leftovers), runs);
  return failed(errand, { ...why, leftovers: isUntouched ? [] : leftovers, layers });
}

/** The look at what the folding has left, or why it stopped. */
async function fold(
  errand: Errand,
  start: Start,
  { vm, plan }: Deletion,
  sight: Sight,
): Promise<{ readonly seen: Sight } | { readonly stop: FoldStop }> {
  const buried = buriedAmong(plan.tags, sight); // What is open above them holds on to their files.
  if (plan.folds.length + plan.unlinks.length + buried.length > 0)
    await closeIdle(errand.place, vm, sight.power);
  if (plan.folds.length === 0) return { seen: sight };
  const stop = await foldAll(errand, plan, sight.power);
  if (stop) return { stop };
  const after = machineAfter(vm, plan.change);
  errand.place.disks = after.disks;
  // What QEMU has forgotten still stands in a file.
  const seen = await withUnplugged(errand, start, await observe(errand, 'in-files'));
  if (sight.power === 'off' && seen.power !== 'off')
    throw new NotNow('machine-busy', 'the machine was started while its layers were merged', 0);
  const wrong = await whyFoldedWrong(errand, plan, { after, seen });
  if (wrong) return { stop: wrong };
  const isRenamed = await nameTops(errand, start, after, seen);
  return { seen: isRenamed ? await withUnplugged(errand, start, await observe(errand, 'in-files')) : seen };
}

interface Cleared {
  /** Of the tags that QEMU takes off by itself. */
  readonly rest: Rest;
  /** Of everything. */
  readonly leftovers: readonly Leftover[];
}

async function clear(errand: Errand, start: Start, { vm, plan }: Deletion, seen: Sight): Promise<Cleared> {
  const tags = plan.targets.map(tagOn);
  const rest = await removeTags(errand, { start, tags, trust: 'listed' }, seen);
  const after = machineAfter(vm, plan.change);
  const buried = await removeBuried(errand, start, { tags: buriedAmong(plan.tags, seen), after }, seen);
  const files = await unlinkAll(errand, vm, { plan, power: seen.power });
  return { rest, leftovers: [...rest.leftovers, ...buried, ...files] };
}

const isNothingElse = ({ plan }: Deletion, seen: Sight): boolean =>
  plan.folds.length + plan.unlinks.length + buriedAmong(plan.tags, seen).length === 0;

const isAsBefore = ({ isWhole, leftovers }: Rest, sight: Sight, { plan }: Deletion): boolean =>
  isWhole && leftovers.length === standing(sight, plan.targets.map(tagOn)).length;

/** Why nothing is thrown away after the folding, in words; null when all stands as it should. */
async function whyFoldedWrong(
  errand: Errand,
  { folds, change }: DeletePlan,
  { after, seen }: { after: Pick<Vm, 'layers' | 'disks'>; seen: Sight },
): Promise<FoldStop | null> {
  const [fold] = folds;
  if (!fold) return null;
  const open = await lookAtOpenImages(errand.place, seen.power);
  const tops = change.tops.flatMap(({ file }) => after.layers.get(file) ?? []);
  // A device whose image somebody had to close has no chain; nobody closes one before all are folded.
  const power = seen.disks.some(isClosed) ? 'off' : seen.power;
  const words = await whyNotAsKnown(errand, after, { layers: [...change.set, ...tops], open, power });
  if (words === null) return null;
  return { fold, done: folds, trouble: { kind: 'refused', category: 'not-found', words } };
}

/** The folding cannot go on. A copy upwards takes nothing before it is done; one downwards may be half done. */
async function stopped(
  errand: Errand,
  deletion: Deletion,
  { fold, done, trouble }: FoldStop,
): Promise<Report> {
  const runs = await runsOn(errand, deletion);
  const words = `the layers could not be merged: ${trouble.words}`;
  const { reason, message } = orStuck({ reason: reasonOf(trouble), message: words }, runs);
  const seen = await observe(errand, 'listed');
  const layers = await layersSoFar(errand, deletion, { done, seen });
  const isHarmless = fold.how === 'pull' && !done.some((one) => isLossy(one, deletion.plan));
  if (isHarmless && runs) return failed(errand, { reason, message, leftovers: [], layers });
  return held(errand, reason, message, { layers });
}

/** Whoever must be waited for may take hours, and the guest must not wait as well. */
async function orRunOn<T>(errand: Errand, deletion: Deletion, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotNow && (await isFitToRun(errand, deletion))) await runsOn(errand, deletion);
    throw error;
  }
}

/** Not on a placeholder, nor on an image while a layer that must be unlinked first, and for good, holds the same. */
async function isFitToRun(errand: Errand, { plan }: Deletion): Promise<boolean> {
  const { world } = errand.place;
  const { disks, power } = await observe(errand, 'listed');
  if (power === 'off' || disks.some(isClosed)) return false;
  for (const fold of plan.folds) {
    if ((await stateOfFold(errand, fold, power)) === 'half') return false;
    if (fold.how === 'push' && (await presenceOf(world, fold.from.file)) === 'may come back') return false;
  }
  return true;
}

/**
 * Whether the machine runs, or stands still for a reason that is not ours. A worker that died may have left it standing;
 * what its owner has stopped before anything of ours did is left to him.
 */
async function runsOn(errand: Errand, deletion: Deletion): Promise<boolean> {
  if (!stopsMachine(deletion)) return true;
  const isOurs = errand.memory.stopped.get(errand.operationId) === true;
  const stands = isOurs && (await powerNow(errand)) === 'paused'; // It may have died since.
  const runs = !stands || (await letRunOn(errand));
  await removeStopSign(errand);
  return runs;
}

const stopsMachine = ({ plan }: Deletion): boolean => plan.tags.length + plan.folds.length > 0;

const orStuck = (
  { reason, message }: { reason: FailureCode; message: string },
  runs: boolean,
): { reason: FailureCode; message: string } => ({
  reason,
  message: runs ? message : `${message}; and QEMU would not let the machine run on`,
});

function whyFailed(
  { trouble }: Rest,
  [first]: readonly Leftover[],
): { reason: FailureCode; message: string } {
  if (!trouble && first) {
    return { reason: 'refused-by-qemu', message: `something is left of the snapshot: ${first.why}` };
  }
  if (!trouble) return { reason: 'machine-gone', message: 'QEMU died while the snapshot was being deleted' };
  const reason = trouble.kind === 'refused' ? reasonOf(trouble) : 'host-unreachable';
  return { reason, message: `the snapshot could not be deleted from every disk: ${trouble.words}` };
}

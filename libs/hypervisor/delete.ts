import { type DiskEvidence, type FailureCode, Refusal, type Report, tagOf } from '#ledger';
import type { Errand, OperationOf, Way } from './errand.ts';
import { pass } from './fault-points.ts';
import type { Start } from './journal.ts';
import { observeTrouble, withUnplugged } from './observe.ts';
import { removeTags, type Rest, standing } from './removal.ts';
import { ending, failed } from './report.ts';
import { requireAtRest } from './run-states.ts';
import { canHoldTags, countOf, diskOf, type Sight, vmStateOf } from './sight.ts';
import { reasonOf } from './trouble.ts';

/** Over several disks a delete can never be one step of QEMU's, so it rolls forward. A missing tag is a success. */
export function deleting(errand: Errand, operation: OperationOf<'delete'>): Way {
  const tags = operation.targets.map(tagOf);
  return {
    admit: async (sight) => admit(errand, operation, sight),
    act: async (start, sight) => act(errand, start, tags, await fullSight(errand, operation, start, sight)),
    recover: async (start) => act(errand, start, tags, await observeTrouble(errand, start, 'needed')),
  };
}

/** The disks that the targets stood on go along, though they may be unplugged by now. */
function admit(errand: Errand, operation: OperationOf<'delete'>, sight: Sight): Start {
  const { id, snapshotId, targets } = operation;
  requireAtRest(sight);
  const disks = sight.disks.filter(canHoldTags);
  const evidence = evidenceOf(errand, operation);
  for (const one of evidence) requireWritable(sight, one);
  const unplugged = evidence.filter(({ device }) => !diskOf(sight, device));
  return {
    operationId: id,
    snapshotId,
    worker: errand.worker,
    wasRunning: sight.power === 'running',
    nodes: Object.fromEntries(disks.map(({ device, node }) => [device, node])),
    files: Object.fromEntries([...unplugged, ...disks].map(({ device, file }) => [device, file])),
    plan: targets.map((target) => `remove ${tagOf(target)} from every disk that has it`),
    undo: [],
    vmState: vmStateOf(sight.power),
    memory: 'none',
  };
}

/** What QEMU lists is believed where it is all that should be there: what it has forgotten still stands in a file. */
function fullSight(
  errand: Errand,
  operation: OperationOf<'delete'>,
  start: Start,
  sight: Sight,
): Promise<Sight> {
  const isAllListed = evidenceOf(errand, operation).every(({ device, tag }) => {
    const disk = diskOf(sight, device);
    return !disk || countOf(disk, tag) > 0;
  });
  return isAllListed || sight.power === 'off'
    ? withUnplugged(errand, start, sight)
    : observeTrouble(errand, start, 'needed');
}

/** Where the targets stood when they were captured. */
const evidenceOf = ({ vm }: Errand, { targets }: OperationOf<'delete'>): DiskEvidence[] =>
  targets.flatMap((target) => vm.snapshots.get(target)?.evidence ?? []);

/** @throws {Refusal} `disk-unsupported` */
function requireWritable(sight: Sight, { device, tag }: DiskEvidence): void {
  const disk = diskOf(sight, device);
  if (!disk?.readOnly || countOf(disk, tag) === 0) return;
  throw new Refusal('disk-unsupported', `disk "${device}", which holds ${tag}, is read-only`);
}

async function act(errand: Errand, start: Start, tags: readonly string[], sight: Sight): Promise<Report> {
  const { world } = errand.place;
  const standingBefore = standing(sight, tags).length;
  await pass(world, 'hypervisor.before-act');
  const rest = await removeTags(errand, { start, tags, trust: 'listed' }, sight);
  await pass(world, 'hypervisor.after-act');
  if (rest.leftovers.length === 0 && errand.damage.length === 0) {
    return { type: 'ReportDeleted', deleted: await ending(errand) };
  }
  const isUntouched = errand.isFirst && rest.isWhole && rest.leftovers.length === standingBefore;
  return failed(errand, { ...whyFailed(rest), leftovers: isUntouched ? [] : rest.leftovers });
}

function whyFailed({ trouble }: Rest): { reason: FailureCode; message: string } {
  if (!trouble) return { reason: 'machine-gone', message: 'QEMU died while the snapshot was being deleted' };
  const reason = trouble.kind === 'refused' ? reasonOf(trouble) : 'host-unreachable';
  return { reason, message: `the snapshot could not be deleted from every disk: ${trouble.words}` };
}

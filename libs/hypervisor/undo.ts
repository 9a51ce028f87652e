import { type FailureCode, type Report, tagOf } from '#ledger';
import type { Errand } from './errand.ts';
import { pass } from './fault-points.ts';
import type { Start } from './journal.ts';
import { removeTags, standing } from './removal.ts';
import { failed } from './report.ts';
import type { Sight } from './sight.ts';
import { reasonOf, type Trouble } from './trouble.ts';

/**
 * Takes a create back on every disk that has something of it, and reports why it failed. What another instant
 * would add to a half-taken snapshot is not the same snapshot, so it is never completed.
 */
export async function undo(
  errand: Errand,
  start: Start,
  sight: Sight,
  trouble: Trouble | null,
): Promise<Report> {
  const { world } = errand.place;
  const tags = [tagOf(start.snapshotId ?? '')];
  const why = whyFailed(start, sight, trouble, standing(sight, tags).length > 0);
  await pass(world, 'hypervisor.before-undo');
  errand.journal.progress({ phase: 'undoing', percent: null });
  const { leftovers } = await removeTags(errand, { start, tags, trust: 'in-files' }, sight);
  await pass(world, 'hypervisor.after-undo');
  return failed(errand, { ...why, leftovers });
}

interface Why {
  readonly reason: FailureCode;
  readonly message: string;
}

/** QEMU's own words when it said any. A part without a word is what only a death leaves behind. */
function whyFailed(start: Start, sight: Sight, trouble: Trouble | null, isPartial: boolean): Why {
  const words = trouble ? `: ${trouble.words}` : '';
  if (trouble?.kind === 'refused') {
    return { reason: reasonOf(trouble), message: `the capture was refused${words}` };
  }
  if (start.vmState === 'shutoff') {
    return { reason: 'host-unreachable', message: `the capture of the images was interrupted${words}` };
  }
  if (sight.power === 'off' || isPartial || trouble?.isLoss) {
    return { reason: 'machine-gone', message: `QEMU died before the capture was whole${words}` };
  }
  return {
    reason: 'host-unreachable',
    message: `nobody told QEMU of the capture, or it was not heard${words}`,
  };
}

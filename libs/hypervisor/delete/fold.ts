import type { Fold, Layer } from '#ledger';
import { FOLD_ATTEMPTS_MAX, FOLD_PAUSE_MS } from '../bounds.ts';
import { headerBacking } from '../look/chain-check.ts';
import type { DeletePlan } from './delete-plan.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { runFoldJob } from './fold-job.ts';
import { NotNow } from '../not-now.ts';
import {
  chainWith,
  closeFile,
  closeUnused,
  lookAtOpenImages,
  nodeOf,
  type OpenImages,
  requireNode,
} from '../look/open-images.ts';
import { jobIdOf } from '../qemu/own-jobs.ts';
import { push } from './push.ts';
import type { Power } from '../look/sight.ts';
import { type Trouble, troubleIn } from '../trouble.ts';

type Pull = Extract<Fold, { how: 'pull' }>;

/** Where the folding stopped for good. */
export interface FoldStop {
  readonly fold: Fold;
  /** Those before it; and this one, when only what comes after the copying was refused. */
  readonly done: readonly Fold[];
  readonly trouble: Extract<Trouble, { kind: 'refused' }>;
}

/**
 * Copies what the plan says between the layers, in its order, each fold only if a look does not find it done. Until the
 * first push everything is as good as undone.
 *
 * @throws {NotNow} when somebody has a file open, or nobody knows how it went: the next run looks first
 */
export async function foldAll(errand: Errand, plan: DeletePlan, power: Power): Promise<FoldStop | null> {
  const { folds } = plan;
  for (const [index, fold] of folds.entries()) {
    errand.journal.progress({ phase: 'merging', percent: Math.floor((100 * index) / folds.length) });
    const job = jobIdOf(errand.operationId, index + 1);
    const trouble = await tryFold(errand, () =>
      fold.how === 'pull' ? pull(errand, fold, { power, job }) : push(errand, fold, { plan, power, job }),
    );
    if (!trouble) continue;
    const isDone = fold.how === 'pull' && (await isPulled(errand, fold)); // What came after the copying was refused.
    return { fold, done: folds.slice(0, isDone ? index + 1 : index), trouble };
  }
  return null;
}

/** The same again for a while: what refuses may be gone soon. A full disk only gets fuller. */
async function tryFold(errand: Errand, work: () => Promise<void>): Promise<FoldStop['trouble'] | null> {
  const { world } = errand.place;
  for (let attempt = 1; ; attempt += 1) {
    await pass(world, 'hypervisor.before-fold');
    const trouble = await troubleIn(work);
    await pass(world, 'hypervisor.after-fold');
    if (!trouble) return null;
    if (trouble.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
    if (['locked', 'busy'].includes(trouble.category)) throw new NotNow('machine-busy', trouble.words);
    const isFinal = trouble.reason !== undefined || trouble.category === 'no-space';
    if (isFinal || attempt === FOLD_ATTEMPTS_MAX) return trouble;
    await world.clock.sleep(FOLD_PAUSE_MS);
  }
}

/** Whether a layer stands already on what it shall stand on. Only its header tells, and it changes last. */
const isPulled = async ({ place }: Errand, { into, base }: Pull): Promise<boolean> =>
  (await headerBacking(place, into)) === (base?.file ?? null);

/**
 * How far somebody came with a fold. `half`: the machine goes on in the image below already, and the layer that holds
 * the same is still there. Throws what QEMU refuses.
 */
export async function stateOfFold(
  errand: Errand,
  fold: Fold,
  power: Power,
): Promise<'to do' | 'half' | 'done'> {
  if (fold.how === 'pull') return (await isPulled(errand, fold)) ? 'done' : 'to do';
  const { place } = errand;
  if ((await place.world.files.stat(fold.from.file)) === null) return 'done';
  const open = await lookAtOpenImages(place, power);
  const chain = chainWith(open, fold.from.file) ? null : chainWith(open, fold.base.file);
  if (!chain) return 'to do';
  return chain[0] === fold.base.file ? 'half' : 'done';
}

async function pull(
  errand: Errand,
  fold: Pull,
  { power, job }: { power: Power; job: string },
): Promise<void> {
  const { place, steps } = errand;
  const { into, base } = fold;
  if (!(await isPulled(errand, fold))) {
    const open = await lookAtOpenImages(place, power);
    const node = chainWith(open, into.file) ? nodeOf(open, into) : null;
    await steps.take('copy the layers below up', into.device, async () => {
      if (node !== null) return stream(errand, { node, base, open, job });
      await closeFile(place, open, into.file);
      return place.images.rebase(into, base, 'safely');
    });
  }
  await closeUnused(place, fold.run, power);
}

interface Stream {
  readonly node: string;
  readonly base: Layer | null;
  readonly open: OpenImages;
  readonly job: string;
}

async function stream(errand: Errand, { node, base, open, job }: Stream): Promise<void> {
  const below = base && { 'base-node': requireNode(open, base), 'backing-file': base.file };
  const ends = { 'auto-finalize': false, 'auto-dismiss': true } as const;
  const args = { 'job-id': job, device: node, ...below, ...ends };
  await runFoldJob(errand, { command: 'block-stream', args });
}

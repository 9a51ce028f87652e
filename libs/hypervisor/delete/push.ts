import type { Fold, Layer } from '#ledger';
import { headerBacking } from '../look/chain-check.ts';
import type { DeletePlan } from './delete-plan.ts';
import type { Errand } from '../errand.ts';
import { runFoldJob } from './fold-job.ts';
import { NotNow } from '../not-now.ts';
import {
  chainWith,
  closeFile,
  closeUnused,
  lookAtOpenImages,
  type OpenImages,
  requireNode,
} from '../look/open-images.ts';
import type { Power } from '../look/sight.ts';
import { Thwarted, troubleIn } from '../trouble.ts';
import { isThere } from '../unlink-for-good.ts';
import { closeAndUnlink } from './unlinking.ts';

type Push = Extract<Fold, { how: 'push' }>;

/** So often, and after such pauses, a layer is tried to be unlinked while its machine stands still. */
const DROP_ATTEMPTS_MAX = 5;
const DROP_PAUSE_MS = 200;

export interface PushOptions {
  readonly power: Power;
  /** The id of the job that QEMU may do it in. */
  readonly job: string;
  /** Right before anything is copied while the machine is off. Throws when that may not be any more. */
  readonly lookAgain?: () => Promise<void>;
}

/**
 * Copies a layer, and what goes below it, down into the image that stays, and lets those that stood on the layer
 * stand on the image. Safe to repeat until the layer is gone: its content does not change. Throws what QEMU and
 * qemu-img refuse.
 */
export async function push(
  errand: Errand,
  fold: Push,
  { plan, power, job }: PushOptions & { plan: DeletePlan },
): Promise<void> {
  const { place } = errand;
  if (!(await isThere(place.world, fold.from.file))) return; // Unlinked once it was done, and not before.
  const isDone = isDropped(errand, fold.from.file);
  if (isDone) await requireUnwritten(errand, fold);
  const { device } = fold.base;
  const heirs = plan.change.set.filter(
    (layer) => layer.device === device && layer.backing === fold.base.file,
  );
  if (!isDone && (power !== 'off' || !(await isDown(errand, fold, heirs))))
    await pushDown(errand, fold, { power, job });
  await closeUnused(place, [fold.from, ...fold.run], power);
  const open = await lookAtOpenImages(place, power);
  for (const heir of heirs) await standOn(errand, heir, { base: fold.base, open });
}

/**
 * Whether somebody has copied all of it already, for then the first of those changes that stood on the layer. To copy it
 * again could be refused, and then what has changed would be taken for undone.
 */
async function isDown({ place }: Errand, { base }: Push, heirs: readonly Layer[]): Promise<boolean> {
  for (const heir of heirs) if ((await headerBacking(place, heir)) === base.file) return true;
  return false;
}

/** Only the header changes: through the layer and through the image the same is read. */
async function standOn(
  { place, steps }: Errand,
  heir: Layer,
  { base, open }: { base: Layer; open: OpenImages },
): Promise<void> {
  if ((await headerBacking(place, heir)) === base.file) return;
  if (!chainWith(open, heir.file)) await closeFile(place, open, heir.file);
  await steps.take('let the layer stand on the image', heir.device, () =>
    place.images.rebase(heir, base, 'header-only'),
  );
}

/**
 * Takes back an overlay: what it holds goes down into the layer that it stands on, which the machine goes on with, and
 * the overlay is unlinked. Safe to repeat, also when it is gone already. Throws what QEMU and qemu-img refuse.
 *
 * @throws {NotNow} when somebody has one of them open, or nobody knows how it went
 */
export async function pushBack(
  errand: Errand,
  { from, base }: Pick<Push, 'from' | 'base'>,
  options: PushOptions,
): Promise<void> {
  if (!(await isThere(errand.place.world, from.file))) return;
  if (isDropped(errand, from.file)) await requireUnwritten(errand, { from, base });
  else await pushDown(errand, { from, base, run: [] }, options);
  await errand.steps.take('unlink the overlay', from.device, () =>
    closeAndUnlink(errand, { ...from, power: options.power }),
  );
}

/** What is copied, and where to. */
type Copy = Pick<Push, 'from' | 'base' | 'run'>;

/**
 * The copying alone. What the machine writes on is unlinked in the same moment that the machine goes on in the image,
 * and the machine stands still meanwhile: nobody can ever start it from the wrong one of two that differ.
 *
 * Throws what QEMU and qemu-img refuse.
 */
async function pushDown(
  errand: Errand,
  copy: Copy,
  { power, job, lookAgain = async () => undefined }: PushOptions,
): Promise<void> {
  const { place, steps } = errand;
  const { from, base, run } = copy;
  const open = await lookAtOpenImages(place, power);
  const chain = chainWith(open, from.file);
  if (chain?.[0] === from.file) return pushTop(errand, copy, { open, job });
  if (chain) return pushMiddle(errand, copy, { open, job, top: chain[0] ?? '' });
  const without = chainWith(open, base.file);
  if (without) return finishPush(errand, copy, without[0] === base.file);
  for (const { file } of [from, ...run, base]) await closeFile(place, open, file);
  const found = await place.world.files.stat(from.file);
  await steps.take('copy the layers down', from.device, () =>
    place.images.commit(from, base.file, lookAgain),
  );
  // Until the log names the image below, the machine is started from the layer, and may write there.
  if (found) errand.down.set(from.file, found.modifiedAt);
}

async function pushTop(
  errand: Errand,
  { from, base }: Copy,
  { open, job }: { open: OpenImages; job: string },
): Promise<void> {
  const args = {
    'job-id': job,
    device: requireNode(open, from),
    'base-node': requireNode(open, base),
    'auto-dismiss': false,
  } as const;
  await errand.steps.take('copy the layers down', from.device, () =>
    runFoldJob(errand, { command: 'block-commit', args }, () => drop(errand, from)),
  );
}

async function pushMiddle(
  errand: Errand,
  { from, base }: Copy,
  { open, job, top }: { open: OpenImages; job: string; top: string },
): Promise<void> {
  const format = errand.vm.layers.get(top)?.format ?? 'qcow2'; // What a machine writes above a layer is qcow2.
  const args = {
    'job-id': job,
    device: requireNode(open, { file: top, format }),
    'top-node': requireNode(open, from),
    'base-node': requireNode(open, base),
    'backing-file': base.file,
    'auto-finalize': false,
    'auto-dismiss': false,
  } as const;
  await errand.steps.take('copy the layers down', from.device, () =>
    runFoldJob(errand, { command: 'block-commit', args }),
  );
}

/**
 * QEMU has the image under a disk without the layer: either it went on there and whoever made it do so died, or
 * somebody has started the machine from an image that lacks what the layer holds.
 */
async function finishPush(errand: Errand, { from, base }: Copy, isTop: boolean): Promise<void> {
  const isSame = await errand.place.images.isSame(from, base);
  if (isSame !== true) {
    const words = `the machine runs on ${base.file}, which is not what ${from.file} holds`;
    throw new Thwarted('snapshot-damaged', words);
  }
  if (isTop) await drop(errand, from);
}

/**
 * Unlinks a layer that has gone down, before its machine runs on below: as long as it is there, or comes back with the
 * host, whoever goes on after us copies it down again, over what the machine has written since. But a machine must not
 * stand still for ever: what is refused to the last is told when all that goes is unlinked.
 *
 * @throws {NotNow} when nobody knows whether it is gone, or somebody has it open
 */
export async function drop(errand: Errand, { file }: Pick<Layer, 'file'>): Promise<void> {
  const { clock, files } = errand.place.world;
  for (let attempt = 1; ; attempt += 1) {
    const trouble = await troubleIn(() => closeAndUnlink(errand, { file, power: 'paused' }));
    if (!trouble) return;
    if (trouble.kind === 'unknown') throw new NotNow('host-unreachable', trouble.words);
    if (attempt === DROP_ATTEMPTS_MAX) break;
    await clock.sleep(DROP_PAUSE_MS);
  }
  const { memory, operationId } = errand;
  const at = (await files.stat(file))?.modifiedAt ?? 0;
  memory.dropped.set(operationId, new Map([...(memory.dropped.get(operationId) ?? []), [file, at]]));
}

/** Whether the machine has gone on below a layer, which could not be unlinked, as far as this process remembers. */
export const isDropped = ({ memory, operationId }: Errand, file: string): boolean =>
  memory.dropped.get(operationId)?.has(file) === true;

/** The log still names the layer, and somebody may have started the machine from it. Throws `Thwarted` when it was. */
async function requireUnwritten(
  { place, memory, operationId }: Errand,
  { from, base }: Pick<Push, 'from' | 'base'>,
): Promise<void> {
  const found = await place.world.files.stat(from.file);
  if (!found || found.modifiedAt === memory.dropped.get(operationId)?.get(from.file)) return;
  const words = `the machine has gone on in ${base.file}, and ${from.file} was written since`;
  throw new Thwarted('snapshot-damaged', words);
}

import { type Fold, type Layer, stoodOn, type Vm } from '#ledger';
import { buriedAmong } from '../delete/buried-tags.ts';
import { deletionOf } from '../delete/delete.ts';
import type { DeletePlan } from '../delete/delete-plan.ts';
import type { Errand, OperationOf } from '../errand.ts';
import type { Start } from '../journal.ts';
import { CONT, GOING_ON, standing, STOP } from './plan-estimates.ts';
import type { Foreseen } from './foreseen.ts';
import type { Sight } from '../look/sight.ts';

/** What a delete would do that begins like this. */
export async function foreseeDelete(
  errand: Errand,
  operation: OperationOf<'delete'>,
  start: Start,
  sight: Sight,
): Promise<Foreseen> {
  const { vm, plan } = deletionOf(errand, operation, start.spared);
  const pauses = pausesOf(vm, plan, sight);
  const copied = await Promise.all(plan.folds.flatMap(layersCopied).map((layer) => heldBytes(errand, layer)));
  const { id: operationId, snapshotId, targets } = operation;
  const count = pauses.folds.size + pauses.buriedCount;
  return {
    commands: commandsOf(start, plan, pauses),
    filesCreated: [],
    filesUnlinked: [...plan.unlinks],
    snapshotsDiscarded: targets.filter((id) => id !== snapshotId),
    bytes: copied.reduce((sum, bytes) => sum + bytes, 0),
    stops: count > 0 ? standing(0, count) : GOING_ON,
    report: {
      type: 'ReportDeleted',
      deleted: { operationId, steps: [], transcriptDigest: '', layers: plan.change },
    },
  };
}

/** Where a machine that runs is made to stand still. */
interface Pauses {
  /** Those that QEMU does: its jobs come to their end while the machine stands. */
  readonly folds: ReadonlySet<Fold>;
  /** Tags in files that QEMU has open below a disk, which is closed for that. */
  readonly buriedCount: number;
}

function pausesOf(vm: Vm, { folds, tags }: DeletePlan, sight: Sight): Pauses {
  if (sight.power !== 'running') return { folds: new Set(), buriedCount: 0 };
  const stood = stoodOn(vm);
  const isOpen = (fold: Fold): boolean => stood.has(fold.how === 'pull' ? fold.into.file : fold.from.file);
  const buried = buriedAmong(tags, sight).filter(({ file }) => stood.has(file));
  return { folds: new Set(folds.filter(isOpen)), buriedCount: buried.length };
}

/** In the order of the plan; files go last. */
function commandsOf({ plan: words }: Start, { folds, targets }: DeletePlan, pauses: Pauses): string[] {
  const wordsAbout = (fold: Fold, index: number): string[] => [
    words[index] ?? '',
    ...(pauses.folds.has(fold) ? [`${STOP} for the end of that`, CONT] : []),
  ];
  const [removals, unlinks] = [folds.length, folds.length + targets.length];
  return [
    ...folds.flatMap(wordsAbout),
    ...(pauses.buriedCount > 0 ? [STOP] : []),
    ...words.slice(removals, unlinks),
    ...(pauses.buriedCount > 0 ? [CONT] : []),
    ...words.slice(unlinks),
  ];
}

const layersCopied = (fold: Fold): readonly Layer[] =>
  fold.how === 'pull' ? fold.run : [fold.from, ...fold.run];

/** At most: what lies over it already is not copied. */
async function heldBytes({ place }: Errand, layer: Layer): Promise<number> {
  const bytes = await place.images.dataBytes(layer, 'own');
  return bytes ?? (await place.world.files.stat(layer.file))?.sizeBytes ?? 0;
}

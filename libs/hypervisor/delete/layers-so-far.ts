import { changeOf, type Fold, type LayerChange, type Vm } from '#ledger';
import type { DeletePlan } from './delete-plan.ts';
import type { Errand } from '../errand.ts';
import { diskOf, type Sight } from '../look/sight.ts';

/**
 * What is different under the disks when these folds are done, and what a look finds gone; undefined when nothing is.
 * A snapshot whose delete failed keeps what is left of it.
 */
export async function layersSoFar(
  { place }: Errand,
  { vm, plan }: { vm: Vm; plan: DeletePlan },
  { done, seen }: { done: readonly Fold[]; seen: Sight },
): Promise<LayerChange | undefined> {
  const remaining = [...vm.snapshots.values()].filter((snapshot) => !plan.targets.includes(snapshot));
  const change = changeOf({ ...plan, folds: done }, vm, remaining);
  const gone: string[] = [];
  for (const file of change.gone) if ((await place.world.files.stat(file)) === null) gone.push(file);
  const nodeOn = (device: string): string => (seen.power === 'off' ? '' : (diskOf(seen, device)?.node ?? ''));
  const tops = change.tops.map((top) => ({ ...top, node: nodeOn(top.device) }));
  const isSame = [change.set, gone, tops, change.contents].every(({ length }) => length === 0);
  return isSame ? undefined : { ...change, gone, tops };
}

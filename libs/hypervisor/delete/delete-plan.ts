import {
  changeOf,
  type LayerChange,
  type LayerPlan,
  layersOf,
  planLayers,
  type Snapshot,
  tagOn,
  type Vm,
} from '#ledger';
import type { OperationOf } from '../errand.ts';

/** A tag of ours and the file that holds it. */
export interface TagInFile {
  readonly device: string;
  readonly file: string;
  readonly tag: string;
}

/** What a delete does, as the ledger sees it. */
export interface DeletePlan extends LayerPlan {
  readonly targets: readonly Snapshot[];
  /** How the layers stand afterwards. */
  readonly change: LayerChange;
  /** Tags inside files that stay, by where they were put. */
  readonly tags: readonly TagInFile[];
  readonly memoryFiles: readonly string[];
  /** Layers and memory files, nobody before those that stand on it. */
  readonly unlinks: readonly string[];
}

/** The same for the first who begins it and for everybody who goes on. */
export function planDelete(vm: Readonly<Vm>, operation: OperationOf<'delete'>): DeletePlan {
  const all = [...vm.snapshots.values()];
  const targets = all.filter(({ id }) => operation.targets.includes(id));
  const remaining = all.filter((snapshot) => !targets.includes(snapshot));
  const layers = planLayers(vm, remaining, foldableBy(vm, operation, targets));
  const change = changeOf(layers, vm, remaining);
  const memoryFiles = targets.flatMap(({ memory }) => memory.file ?? []);
  return {
    ...layers,
    targets,
    change,
    tags: targets.flatMap(tagsOf).filter(({ file }) => !change.gone.includes(file)),
    memoryFiles,
    unlinks: [...goneFiles(layers), ...memoryFiles],
  };
}

/** What a discard throws away nobody needs; only a merge copies, and deleting all copies what the machine stands on. */
function foldableBy(
  { layers }: Readonly<Vm>,
  { snapshotId, strategy }: OperationOf<'delete'>,
  targets: readonly Snapshot[],
): ReadonlySet<string> {
  if (snapshotId === null) return new Set(layers.keys());
  switch (strategy) {
    case 'merge':
    case 'merge-force':
      return layersOf(targets);
    case 'retire':
    case 'discard':
    case 'discard-force':
      return new Set();
  }
}

function tagsOf(snapshot: Snapshot): TagInFile[] {
  const { disks, evidence } = snapshot;
  const tag = tagOn(snapshot);
  return disks
    .filter(({ mode }) => mode === 'internal')
    .flatMap(({ device, file = evidence.find((trace) => trace.device === device)?.file }) =>
      file === undefined ? [] : [{ device, file, tag }],
    );
}

function goneFiles({ folds, unneeded }: LayerPlan): string[] {
  const folded = folds.flatMap((fold) => (fold.how === 'push' ? [fold.from, ...fold.run] : fold.run));
  return [...new Set([...folded, ...unneeded].map(({ file }) => file))];
}

/** In words, in order. */
export const wordsOf = ({ folds, targets, unlinks }: DeletePlan): string[] => [
  ...folds.map((fold) =>
    fold.how === 'pull'
      ? `copy ${filesOf(fold.run)} up into ${fold.into.file}`
      : `copy ${filesOf([fold.from, ...fold.run])} down into ${fold.base.file}`,
  ),
  ...targets.map((target) => `remove ${tagOn(target)} from every disk that has it`),
  ...unlinks.map((file) => `unlink ${file}`),
];

const filesOf = (layers: readonly { readonly file: string }[]): string =>
  layers.map(({ file }) => file).join(', ');

import {
  chainUnder,
  changeOf,
  type Fold,
  type LayerChange,
  type LayerPlan,
  layersOf,
  planLayers,
  type Snapshot,
  tagOn,
  type Vm,
} from '#ledger';
import type { OperationOf } from '../errand.ts';
import type { Spared } from './spared.ts';

/** A tag of ours and the file that holds it. */
export interface TagInFile {
  readonly device: string;
  readonly file: string;
  readonly tag: string;
}

/** Who else reads a layer, in words. */
export interface Reader {
  readonly file: string;
  readonly who: string;
}

/** What a delete does, as the ledger sees it. */
export interface DeletePlan extends LayerPlan {
  readonly targets: readonly Snapshot[];
  /** How the layers stand afterwards. */
  readonly change: LayerChange;
  /** Tags inside files that stay, by where they were put. */
  readonly tags: readonly TagInFile[];
  readonly memoryFiles: readonly string[];
  /** Layers that would go, or be written into, if nobody else read them: they stay as they are. */
  readonly readers: readonly Reader[];
  /** Layers and memory files, nobody before those that stand on it. */
  readonly unlinks: readonly string[];
}

/** The same for the first who begins it and for everybody who goes on. */
export function planDelete(
  vm: Readonly<Vm>,
  operation: OperationOf<'delete'>,
  spared: Spared = [],
): DeletePlan {
  const all = [...vm.snapshots.values()];
  const targets = all.filter(({ id }) => operation.targets.includes(id));
  const remaining = all.filter((snapshot) => !targets.includes(snapshot));
  const read = new Set(spared.map(({ file }) => file));
  const foldable = foldableBy(vm, operation, targets);
  const layers = planLayers(vm, remaining, foldable, read);
  const unread = planLayers({ ...vm, backups: [] }, remaining, foldable);
  const change = changeOf(layers, vm, remaining);
  const memoryFiles = targets.flatMap(({ memory }) => memory.file ?? []);
  return {
    ...layers,
    targets,
    change,
    tags: targets.flatMap(tagsOf).filter(({ file }) => !change.gone.includes(file)),
    memoryFiles,
    readers: readersOf(vm, spared).filter(({ file }) => touchedBy(vm, unread).has(file)),
    unlinks: [...goneFiles(vm, layers), ...memoryFiles],
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

const readersOf = ({ backups }: Readonly<Vm>, spared: Spared): Reader[] => [
  ...backups.map(({ target, backing }) => ({ file: backing, who: `the backup ${target}` })),
  ...spared.map(({ file, vmId }) => ({ file, who: `VM ${vmId}` })),
];

/** What is unlinked, and what something is copied down into. */
const touchedBy = (vm: Readonly<Vm>, plan: LayerPlan): ReadonlySet<string> =>
  new Set([
    ...goneFiles(vm, plan),
    ...plan.folds.flatMap((fold) => (fold.how === 'push' ? [fold.base.file] : [])),
  ]);

function tagsOf(snapshot: Snapshot): TagInFile[] {
  const { disks, evidence } = snapshot;
  const tag = tagOn(snapshot);
  return disks
    .filter(({ mode }) => mode === 'internal')
    .flatMap(({ device, file = evidence.find((trace) => trace.device === device)?.file }) =>
      file === undefined ? [] : [{ device, file, tag }],
    );
}

/** Those on top first. */
function goneFiles(vm: Readonly<Vm>, { folds, unneeded }: LayerPlan): string[] {
  const folded = folds.flatMap((fold) => (fold.how === 'push' ? [fold.from, ...fold.run] : fold.run));
  const depthOf = (file: string): number => chainUnder(vm, file).length;
  return [...new Set([...folded, ...unneeded].map(({ file }) => file))].toSorted(
    (one, other) => depthOf(other) - depthOf(one),
  );
}

/**
 * Whether a fold that is done has taken anything from a target. What a layer lacks its tags read from below it, too, and a
 * copy upwards brings only what the layer itself reads there: the tags lose it.
 */
export const isLossy = (fold: Fold, { tags }: Pick<DeletePlan, 'tags'>): boolean =>
  fold.how === 'push' || tags.some(({ file }) => file === fold.into.file);

/** In words, in order. */
export const wordsOf = ({ folds, targets, unlinks, readers }: DeletePlan): string[] => [
  ...folds.map((fold) =>
    fold.how === 'pull'
      ? `copy ${filesOf(fold.run)} up into ${fold.into.file}`
      : `copy ${filesOf([fold.from, ...fold.run])} down into ${fold.base.file}`,
  ),
  ...targets.map((target) => `remove ${tagOn(target)} from every disk that has it`),
  ...unlinks.map((file) => `unlink ${file}`),
  ...readers.map(({ file, who }) => `leave ${file} as it is, for ${who} reads it`),
];

const filesOf = (layers: readonly { readonly file: string }[]): string =>
  layers.map(({ file }) => file).join(', ');

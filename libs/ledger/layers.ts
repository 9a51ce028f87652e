import type { Layer, LayerChange } from './shapes.ts';
import type { Snapshot, Vm } from './vm.ts';

/* Which file stands on which, and what still needs it: the rules for external snapshots, said once. */

type Chains = Pick<Vm, 'layers'>;
type Machine = Pick<Vm, 'layers' | 'disks' | 'backups'>;

/** The layer and all that it stands on, top first. */
export function chainUnder({ layers }: Chains, file: string): Layer[] {
  const chain: Layer[] = [];
  for (let next = layers.get(file); next && !chain.includes(next); next = layers.get(next.backing ?? '')) {
    chain.push(next);
  }
  return chain;
}

/** Layers that stand directly on a file. */
export const layersOn = ({ layers }: Chains, file: string): Layer[] =>
  [...layers.values()].filter(({ backing }) => backing === file);

/** The files that the machine stands on as it is now. */
export const stoodOn = (vm: Pick<Vm, 'layers' | 'disks'>): Set<string> =>
  new Set(vm.disks.flatMap(({ file }) => chainUnder(vm, file).map((layer) => layer.file)));

/** Snapshots that live inside a file. What the file lacks they read from below it. */
export const tenantsOf = (snapshots: Iterable<Snapshot>, file: string): Snapshot[] =>
  [...snapshots].filter(({ disks }) => disks.some((disk) => disk.mode === 'internal' && disk.file === file));

/** How layers that nobody asks for any more leave the middle of a chain. */
export type Fold =
  /** What they hold is copied up into the one layer that stands on them, which then stands on what they stood on. */
  | {
      readonly how: 'pull';
      readonly into: Layer;
      readonly run: readonly Layer[];
      readonly base: Layer | null;
    }
  /** They and the layer above are copied down into the user's own image, which stays: all of them go. */
  | { readonly how: 'push'; readonly from: Layer; readonly run: readonly Layer[]; readonly base: Layer };

/** What becomes of the layers. */
export interface LayerPlan {
  /**
   * In the order in which they are done. Pulls come first: they change nothing that anybody else reads, and no run may
   * stand on a layer any more that is pushed away.
   */
  readonly folds: readonly Fold[];
  /** Layers of ours that nothing needs any more, nobody before those that stand on it. */
  readonly unneeded: readonly Layer[];
  /** Snapshots that would lose what they read through a fold. */
  readonly wouldLose: readonly Snapshot[];
}

/**
 * What becomes of the layers when only `remaining` live on. A layer is kept for the machine that writes it and for the
 * snapshots whose content it holds; what these stand on is needed, and what came with the machine always is. Of the
 * needed ones those in `foldable` are folded away, all others of ours that are not needed can go.
 *
 * What backups and those who are named in `spared` read from is kept too: nothing is copied into it, and it does not go.
 */
export function planLayers(
  vm: Machine,
  remaining: readonly Snapshot[],
  foldable: ReadonlySet<string> = new Set(),
  spared: ReadonlySet<string> = new Set(),
): LayerPlan {
  const read = new Set([...spared, ...vm.backups.map(({ backing }) => backing)]);
  const kept = keptLayers(vm, remaining, read);
  const given = [...vm.layers.values()].filter(({ origin }) => origin === 'given');
  const needed = new Set([...kept, ...given].flatMap(({ file }) => chainUnder(vm, file)));
  const unneeded = [...vm.layers.values()]
    .filter((layer) => layer.origin === 'ours' && !needed.has(layer))
    .toSorted((one, other) => chainUnder(vm, other.file).length - chainUnder(vm, one.file).length);
  const isFoldable = (layer: Layer): boolean => foldable.has(layer.file) && !kept.includes(layer);
  const staying = [...needed].filter((layer) => layer.origin === 'given' || !isFoldable(layer));
  const runs = staying.map((layer) => runUnder(vm, layer, isFoldable));
  const canGo = ({ file, origin }: Layer): boolean =>
    origin === 'ours' && !read.has(file) && tenantsOf(remaining, file).length === 0;
  const found = runs.flatMap((run) => foldOf(run, runs, { canGo, isFoldable }));
  const folds = [...found.filter(({ how }) => how === 'pull'), ...found.filter(({ how }) => how === 'push')];
  const pulled = folds.flatMap((fold) => (fold.how === 'pull' ? [fold.into.file] : []));
  return { folds, unneeded, wouldLose: [...new Set(pulled.flatMap((file) => tenantsOf(remaining, file)))] };
}

function keptLayers(
  { layers, disks }: Machine,
  remaining: readonly Snapshot[],
  read: ReadonlySet<string>,
): Layer[] {
  const held = remaining.flatMap((snapshot) => snapshot.disks.map(({ file }) => file));
  const files = new Set([...disks.map(({ file }) => file), ...held, ...read]);
  return [...files].flatMap((file) => layers.get(file ?? '') ?? []);
}

/** A layer that stays, those under it that go, and the next that stays. */
interface Run {
  readonly above: Layer;
  readonly run: readonly Layer[];
  readonly base: Layer | null;
}

function runUnder(vm: Chains, above: Layer, isFoldable: (layer: Layer) => boolean): Run {
  const [, ...below] = chainUnder(vm, above.file);
  const end = below.findIndex((layer) => layer.origin === 'given' || !isFoldable(layer));
  const count = end === -1 ? below.length : end;
  return { above, run: below.slice(0, count), base: below[count] ?? null };
}

function foldOf(
  { above, run, base }: Run,
  runs: readonly Run[],
  { canGo, isFoldable }: Record<'canGo' | 'isFoldable', (layer: Layer) => boolean>,
): Fold[] {
  const isAlone = runs.filter((other) => other.base === base).length === 1;
  if (base && isFoldable(base) && isAlone && canGo(above)) return [{ how: 'push', from: above, run, base }];
  return run.length > 0 ? [{ how: 'pull', into: above, run, base }] : [];
}

/** How the layers stand once the plan has been carried out. The node names of new tops are for the caller to add. */
export function changeOf(
  { folds, unneeded }: LayerPlan,
  vm: Pick<Vm, 'layers' | 'disks'>,
  remaining: readonly Snapshot[],
): LayerChange {
  const moved = new Map(
    folds.flatMap((fold) => (fold.how === 'push' ? [[fold.from.file, fold.base.file]] : [])),
  );
  const gone = new Set([
    ...unneeded.map(({ file }) => file),
    ...folds.flatMap(({ run }) => run.map(({ file }) => file)),
    ...moved.keys(),
  ]);
  const pulled = new Map(
    folds.flatMap((fold) =>
      fold.how === 'pull' ? [[fold.into.file, fold.base?.file ?? null] as const] : [],
    ),
  );
  const backingOf = ({ file, backing }: Layer): string | null => {
    const lower = pulled.has(file) ? (pulled.get(file) ?? null) : backing;
    return moved.get(lower ?? '') ?? lower;
  };
  const tops = vm.disks.flatMap(({ device, file }) => {
    const base = vm.layers.get(moved.get(file) ?? '');
    return base ? [{ device, node: '', file: base.file, format: base.format }] : [];
  });
  const contents = remaining.flatMap(({ id, disks }) =>
    disks.flatMap(({ device, file }) => {
      const base = moved.get(file ?? '');
      return base === undefined ? [] : [{ snapshotId: id, device, file: base }];
    }),
  );
  const set = [...vm.layers.values()]
    .filter((layer) => !gone.has(layer.file) && layer.backing !== backingOf(layer))
    .map((layer) => ({ ...layer, backing: backingOf(layer) }));
  return { set, gone: [...gone], tops, contents };
}

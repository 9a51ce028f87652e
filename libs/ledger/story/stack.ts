import { changeOf, type LayerPlan, planLayers } from '../layers.ts';
import type { Layer, LayerChange } from '../shapes.ts';
import { unborn, type Snapshot, type Vm } from '../vm.ts';
import { disk } from './events.ts';

/**
 * Test-only. One disk and the files under it, in letters: `G` came with the machine, every other is ours.
 * `G A B` is a chain, lowest first; several chains share the letters that they have in common.
 */
export function stackOf(chains: readonly string[], top: string, snapshots: Readonly<Record<string, string>>) {
  const vm = unborn();
  vm.disks = [disk('vda', { file: top })];
  for (const chain of chains) {
    const files = chain.split(' ');
    for (const [at, file] of files.entries()) vm.layers.set(file, layer(file, files[at - 1] ?? null));
  }
  for (const [id, holds] of Object.entries(snapshots)) vm.snapshots.set(id, holding(id, holds));
  return vm;
}

const layer = (file: string, backing: string | null): Layer => ({
  ...{ device: 'vda', file, format: 'qcow2', backing },
  origin: file === 'G' ? 'given' : 'ours',
});

/** `A`: what is frozen in the file A. `in A`: a snapshot inside that file. */
function holding(id: string, holds: string): Snapshot {
  const mode = holds.startsWith('in ') ? 'internal' : 'external';
  return {
    ...{ id, name: id, description: '', labels: {}, parentId: null, status: 'complete', isProtected: false },
    ...{ vmState: 'running', memory: { mode: 'none' }, implicit: false, evidence: [] },
    disks: [{ device: 'vda', mode, file: holds.replace('in ', '') }],
  };
}

/** What becomes of the files when some snapshots go and their layers may be folded. */
export function without(
  vm: Vm,
  gone: readonly string[],
  more: { foldable?: string[]; spared?: string[] } = {},
) {
  const remaining = [...vm.snapshots.values()].filter(({ id }) => !gone.includes(id));
  const files = [...vm.snapshots.values()].flatMap(({ id, disks }) =>
    gone.includes(id) ? disks.filter(({ mode }) => mode === 'external').map(({ file }) => file ?? '') : [],
  );
  const plan = planLayers(vm, remaining, new Set(more.foldable ?? files), new Set(more.spared));
  return { plan, change: changeOf(plan, vm, remaining) };
}

const lettersOf = (layers: readonly Layer[]): string => layers.map(({ file }) => file).join(' ');

/** A plan in words. */
export const told = ({ folds, unneeded, wouldLose }: LayerPlan): string[] => [
  ...folds.map((fold) =>
    fold.how === 'pull'
      ? `pull ${lettersOf(fold.run)} into ${fold.into.file} on ${fold.base?.file ?? 'nothing'}`
      : `push ${lettersOf([fold.from, ...fold.run])} into ${fold.base.file}`,
  ),
  ...unneeded.map(({ file }) => `drop ${file}`),
  ...wouldLose.map(({ id }) => `lose ${id}`),
];

/** A change in words. */
export const changed = ({ set, gone, tops, contents }: LayerChange): string[] => [
  ...set.map(({ file, backing }) => `${file} on ${backing ?? 'nothing'}`),
  ...gone.map((file) => `no ${file}`),
  ...tops.map(({ device, file }) => `${device} writes ${file}`),
  ...contents.map(({ snapshotId, file }) => `${snapshotId} is in ${file}`),
];

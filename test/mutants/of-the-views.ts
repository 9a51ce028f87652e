import type { Mutant } from './mutant.ts';

/** How the views could show something else than the log says. */
export const VIEWS_MUTANTS: readonly Mutant[] = [
  {
    name: 'the views miss the first event of a long page',
    file: 'libs/views/write/sitting.ts',
    find: 'const events = this.#expected ? this.#afterExpected(batch) : batch;',
    replace:
      'const events = this.#expected ? this.#afterExpected(batch) : batch.slice(batch.length > 1 ? 1 : 0);',
  },
  {
    name: 'the views hear an event a second time when they are opened again',
    file: 'libs/views/write/sitting.ts',
    find: '    this.#expected = null;\n    return events;\n',
    replace: '    this.#expected = null;\n    return batch;\n',
  },
  {
    name: 'the place of the views is written before their rows',
    file: 'libs/views/write/projection.ts',
    find: '    for (const view of this.#views) view.settle();\n    this.#heads.settle();\n',
    replace: '',
  },
  {
    name: 'the views show what hangs below a deleted snapshot where it was',
    file: 'libs/views/write/lineage.ts',
    find: '      if (snapshotId !== null) this.#remove(snapshotId, at);\n',
    replace: "      if (snapshotId !== null) this.#said(snapshotId, 'protected', 'false', at);\n",
  },
  {
    name: 'the views take what a load has torn for the present',
    file: 'libs/views/write/lineage.ts',
    find: "      if (outcome === 'held') this.#loaded(snapshotId, 'unknown', at);\n",
    replace: '',
  },
];

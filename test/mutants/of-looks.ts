import type { Mutant } from './mutant.ts';

/** How a look could tell something wrong. */
export const LOOK_MUTANTS: readonly Mutant[] = [
  {
    name: 'images are not repaired after their QEMU has died',
    file: 'libs/hypervisor/look/observe.ts',
    find: '    errand.damage = await mend(errand, start, need);\n',
    replace: "    errand.damage = need === 'always' ? [] : await mend(errand, start, need);\n",
    journey: 'a load is killed',
  },
  {
    name: 'a machine that is just restarting counts as off',
    file: 'libs/hypervisor/look/observe.ts',
    find: '    await settle(place);\n',
    replace: '',
  },
  {
    name: 'an answer that comes twice is taken for that of the next command',
    file: 'libs/qmp/session.ts',
    find: "    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;\n    if (typeof id === 'number') this.#waiting.delete(id);\n",
    replace:
      '    const first = Number(id) === GREETING_ID ? GREETING_ID : ([...this.#waiting.keys()][0] ?? -1);\n    const waiting = this.#waiting.get(first);\n    this.#waiting.delete(first);\n',
  },
];

import type { Mutant } from './mutant.ts';

/** How a look could tell something wrong. */
export const LOOK_MUTANTS: readonly Mutant[] = [
  {
    name: 'a machine whose monitor is occupied counts as off',
    file: 'libs/hypervisor/look/look.ts',
    find: "      case 'occupied':\n      case 'closed':\n",
    replace: "      case 'occupied':\n        return null;\n      case 'closed':\n",
  },
  {
    name: 'images are not repaired after their QEMU has died',
    file: 'libs/hypervisor/look/observe.ts',
    find: '    errand.damage = await mend(errand, start, need);\n',
    replace: "    errand.damage = need === 'always' ? [] : await mend(errand, start, need);\n",
  },
  {
    name: 'a machine that is just restarting counts as off',
    file: 'libs/hypervisor/look/observe.ts',
    find: '    await settle(place);\n',
    replace: '',
  },
  {
    name: 'an early look is gone by for minutes',
    file: 'libs/hypervisor/look/early-looks.ts',
    find: 'export const EARLY_LOOK_AGE_MAX_MS = 100;',
    replace: 'export const EARLY_LOOK_AGE_MAX_MS = 100_000;',
  },
  {
    name: 'an answer that comes twice is taken for that of the next command',
    file: 'libs/qmp/session.ts',
    find: "    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;\n    if (typeof id === 'number') this.#waiting.delete(id);\n",
    replace:
      '    const first = Number(id) === GREETING_ID ? GREETING_ID : ([...this.#waiting.keys()][0] ?? -1);\n    const waiting = this.#waiting.get(first);\n    this.#waiting.delete(first);\n',
  },
  {
    name: 'behind a new session the old QEMU is believed to be',
    file: 'libs/hypervisor/look/observe.ts',
    find: "  if (power === 'off' || line.held === held) return power;\n",
    replace: "  if (power === 'off' || line.held === held || held.isOpen === false) return power;\n",
  },
];

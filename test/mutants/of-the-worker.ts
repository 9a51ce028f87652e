import type { Mutant } from './mutant.ts';

/** How the worker could lose or begin what is to be done. */
export const WORKER_MUTANTS: readonly Mutant[] = [
  {
    name: 'the worker acts although its append was refused',
    file: 'apps/ledgerd/worker/lane.ts',
    find: '      if (error instanceof Refusal) throw new Fenced(error.message);\n',
    replace: '      if (error instanceof Refusal) return;\n',
  },
  {
    name: 'what cannot be decided now is never tried again',
    file: 'apps/ledgerd/worker/lane.ts',
    find: '    return { afterMs: Math.max(error.afterMs, backoff.nextMs()) };',
    replace: "    return backoff.nextMs() > 0 ? 'rest' : 'again';",
  },
  {
    name: 'a round that failed is the last one',
    file: 'apps/ledgerd/worker/lane.ts',
    find: '{ vmId: this.vmId });\n        this.#isWoken = true;\n',
    replace: '{ vmId: this.vmId });\n',
  },
  {
    name: 'who is woken in the middle of a round forgets it',
    file: 'apps/ledgerd/worker/lane.ts',
    find: "        if (next === 'rest') continue;",
    replace: "        this.#isWoken = false;\n        if (next === 'rest') continue;",
  },
  {
    name: 'an operation that cannot begin never expires',
    file: 'apps/ledgerd/worker/lane.ts',
    find: 'if (operation.started === null && waitedMs > START_DEADLINE_MS) {',
    replace: 'if (operation.started === null && waitedMs > 1e9 * START_DEADLINE_MS) {',
  },
  {
    name: 'nobody wakes the worker for a load',
    file: 'apps/ledgerd/worker/worker.ts',
    find: "  'LoadRequested',\n",
    replace: '',
  },
  {
    name: 'what was open when the program died stays open',
    file: 'apps/ledgerd/worker/worker.ts',
    find: 'if (vm.operation || vm.hold) wake(vmId);',
    replace: 'if (vm.hold) wake(vmId);',
  },
  {
    name: 'what a held operation has left is never removed',
    file: 'apps/ledgerd/worker/lane.ts',
    find: '    if (state.hold && state.hold.leftovers.length > 0) return this.#removeLeftovers(frozen(state));\n',
    replace: '',
  },
];

import type { Mutant } from './mutant.ts';

/** How the worker could lose or begin what is to be done. */
export const WORKER_MUTANTS: readonly Mutant[] = [
  {
    name: 'the worker acts although its append was refused',
    file: 'apps/ledgerd/worker/reports.ts',
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
    name: 'two workers touch one machine at the same time',
    file: 'apps/ledgerd/worker/machine-lock.ts',
    find: 'const lock = await this.#world.lock(monitor);',
    replace: 'const lock = { release: () => undefined };',
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
];

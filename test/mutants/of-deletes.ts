import type { Mutant } from './mutant.ts';

/** How a delete could go wrong. */
export const DELETE_MUTANTS: readonly Mutant[] = [
  {
    name: 'nobody looks whether a layer was folded already, and takes it for folded',
    file: 'libs/hypervisor/delete/fold.ts',
    find: '  (await headerBacking(place, into)) === (base?.file ?? null);',
    replace: '  (await headerBacking(place, into)) !== undefined || base === null;',
  },
  {
    name: 'those that stood on a layer are left standing on it',
    file: 'libs/hypervisor/delete/push.ts',
    find: '  for (const heir of heirs) await standOn(errand, heir, { base: fold.base, open });\n',
    replace: '  for (const heir of heirs.slice(1)) await standOn(errand, heir, { base: fold.base, open });\n',
  },
  {
    name: 'the machine goes on in the image below before the layer is gone',
    file: 'libs/hypervisor/delete/fold-job.ts',
    find: '    await between();\n    await goOn(errand, before);\n',
    replace: '    await goOn(errand, before);\n    await between();\n',
  },
  {
    name: 'a machine that was stopped for a fold stays stopped',
    file: 'libs/hypervisor/delete/fold-job.ts',
    find: "  if (before === 'running') await setRunning(errand, await powerStill(errand), 'running');\n",
    replace: "  if (before === 'off') await setRunning(errand, await powerStill(errand), 'running');\n",
  },
  {
    name: 'nobody waits for the jobs of a worker that died',
    file: 'libs/hypervisor/delete/fold-job.ts',
    find: "    if (status === 'concluded') continue;\n    const trouble",
    replace: "    if (status !== 'null') continue;\n    const trouble",
  },
  {
    name: 'a worker that comes back does not let the machine run on',
    file: 'libs/hypervisor/delete/fold-job.ts',
    find: '  if (await readStopSign(errand)) errand.memory.stopped.set(errand.operationId, true);',
    replace: '  await readStopSign(errand);',
  },
  {
    name: 'a delete forgets the tags inside layers below',
    file: 'libs/hypervisor/delete/delete.ts',
    find: '{ tags: buriedAmong(plan.tags, seen), after }, seen);',
    replace: '{ tags: buriedAmong(plan.tags, seen).slice(1), after }, seen);',
  },
  {
    name: 'what could not be removed by a delete is not told',
    file: 'libs/hypervisor/delete/delete.ts',
    find: 'return { rest, leftovers: [...rest.leftovers, ...buried, ...files] };',
    replace: 'return { rest, leftovers: [...buried, ...files] };',
  },
  {
    name: 'what is unlinked may come back when the host dies',
    file: 'libs/hypervisor/unlink-for-good.ts',
    find: '  await files.syncDirectory(posix.dirname(file));\n',
    replace: '',
  },
  {
    name: 'a leftover that is still there is told as removed',
    file: 'libs/hypervisor/delete/leftovers.ts',
    find: '  if (tag !== IMAGE_DAMAGED) return countOf(disk, tag) === 0;\n',
    replace: "  if (tag !== IMAGE_DAMAGED) return countOf(disk, tag) === 0 || power !== 'off';\n",
  },
  {
    name: 'what is open above a buried tag is not closed, and its file is waited for for ever',
    file: 'libs/hypervisor/delete/delete.ts',
    find: '  if (plan.folds.length + plan.unlinks.length + buried.length > 0)',
    replace: '  if (plan.folds.length + plan.unlinks.length > buried.length)',
    journey: 'a tag below what was left',
  },
];

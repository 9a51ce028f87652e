import type { Mutant } from './mutant.ts';

/** How a load could go wrong. */
export const LOAD_MUTANTS: readonly Mutant[] = [
  {
    name: 'the machine runs on what it loaded before the log knows of it',
    file: 'libs/hypervisor/load/load-machine.ts',
    find: '  await recordLoaded(errand, loading);\n  return goOnLoaded(errand, loading, power);\n',
    replace:
      '  const report = await goOnLoaded(errand, loading, power);\n  await recordLoaded(errand, loading);\n  return report;\n',
  },
  {
    name: 'a load that is done again does not stop the machine',
    file: 'libs/hypervisor/load/load-machine.ts',
    find: "    await setRunning(errand, power, 'paused');\n    const hopeless",
    replace: '    const hopeless',
  },
  {
    name: 'a disk that could not be loaded counts as loaded',
    file: 'libs/hypervisor/load/load-one-by-one.ts',
    find: 'wish.needs.tag),\n    );\n',
    replace: 'wish.needs.tag),\n    ).catch(() => undefined);\n',
    journey: 'a machine that is off is loaded',
  },
  {
    name: 'a load is given back although the present is left already',
    file: 'libs/hypervisor/load/load-live.ts',
    find: '  isUntouched && !(pin.isSaved',
    replace: '  (isUntouched || !isUntouched) && !(pin.isSaved',
  },
  {
    name: 'a machine that ran stays stopped when nothing was loaded',
    file: 'libs/hypervisor/load/load-live.ts',
    find: "  const power = hasStopped ? await setRunning(errand, await powerStill(errand), 'running') : 'running';\n",
    replace: "  const power = hasStopped ? 'running' : await powerStill(errand);\n",
  },
  {
    name: 'half of what was to be saved of the present stays',
    file: 'libs/hypervisor/load/load.ts',
    find: "  if (report.type !== 'ReportFailed' || !load.pin.isDue) return report;\n",
    replace: "  if (report.type !== 'ReportFailed' || load.pin.isSaved || load.pin.isDue) return report;\n",
  },
  {
    name: 'the newest pin is let go although no other replaces it',
    file: 'libs/hypervisor/load/load-aftermath.ts',
    find: 'const replaced = request.pin ? older : older.slice(0, -1);',
    replace: 'const replaced = older;',
  },
  {
    name: 'what a load leaves is cleared away although somebody reads it',
    file: 'libs/hypervisor/load/load-aftermath.ts',
    find: 'const staying = [...vm.snapshots.values()].filter((snapshot) => !going.includes(snapshot));',
    replace:
      'const staying = [...vm.snapshots.values()].filter(({ implicit, ...one }) => !going.some(({ id }) => id === one.id) && !implicit);',
  },
  {
    name: 'a new top is not in its directory for good before the machine goes on in it',
    file: 'libs/hypervisor/load/load-tops.ts',
    find: '  await place.world.files.syncDirectory(posix.dirname(top.file));\n',
    replace: '',
    journey: 'a load makes layers',
  },
];

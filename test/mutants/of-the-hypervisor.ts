import type { Mutant } from './mutant.ts';

/** How a create could go wrong, or be taken back wrongly. */
const CREATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'the machine is touched before the log knows of it',
    file: 'libs/hypervisor/carry-out.ts',
    find: '  await errand.journal.begin(admitted.start);\n',
    replace: '  void errand.journal.begin(admitted.start);\n',
  },
  {
    name: 'whoever accepted a plan gets another one',
    file: 'libs/hypervisor/carry-out.ts',
    find: '    requireAsPlanned(sight, start, operation);\n',
    replace: '    if (operation.started) requireAsPlanned(sight, start, operation);\n',
  },
  {
    name: 'what QEMU has refused is undone by the look before it',
    file: 'libs/hypervisor/create/create.ts',
    find: '  const seen = trouble ? null',
    replace:
      "  if (trouble?.kind === 'refused')\n    return undo(errand, start, { sight, found: await findCapture(errand, start, sight) }, trouble);\n  const seen = trouble ? null",
  },
  {
    name: 'no answer is taken for no',
    file: 'libs/hypervisor/create/create.ts',
    find: '  const seen = trouble ? null',
    replace:
      "  if (trouble?.kind === 'unknown')\n    return undo(errand, start, { sight, found: await findCapture(errand, start, sight) }, trouble);\n  const seen = trouble ? null",
  },
  {
    name: 'whoever comes back to a create reads no files, and mends nothing',
    file: 'libs/hypervisor/create/create.ts',
    find: '  const looked = await lookAfter(errand, start);\n  const known =',
    replace:
      "  const looked = { times: await timesOf(errand, start), sight: await look(errand.place, 'alone') };\n  const known =",
  },
  {
    name: 'a snapshot that is on one disk is on every disk',
    file: 'libs/hypervisor/create/evidence.ts',
    find: 'const isOnEveryDisk = Object.keys(start.files).every(',
    replace: 'const isOnEveryDisk = Object.keys(start.files).some(',
  },
  {
    name: 'what QEMU has forgotten counts as there for good',
    file: 'libs/hypervisor/look/sight.ts',
    find: 'seen.tag === tag && seen.isListed)',
    replace: 'seen.tag === tag)',
  },
  {
    name: 'a capture is whole without its copies',
    file: 'libs/hypervisor/create/evidence.ts',
    find: 'const isWhole = isTaken && isCopied && isQuietEnough(errand, start);',
    replace: 'const isWhole = isTaken && (isCopied || isTaken) && isQuietEnough(errand, start);',
  },
  {
    name: 'the memory of a capture is not waited for',
    file: 'libs/hypervisor/create/evidence.ts',
    find: ' && memory !== null;\n',
    replace: ';\n',
  },
  {
    name: 'the undo of a create leaves the overlays under the machine',
    file: 'libs/hypervisor/create/undo.ts',
    find: '  const kept = await pushAllBack(errand, tops, sight);\n',
    replace: '  const kept = await pushAllBack(errand, tops.slice(1), sight);\n',
  },
  {
    name: 'a snapshot is taken off all disks but one',
    file: 'libs/hypervisor/delete/removal.ts',
    find: '    const left = standing(seen, tags);\n',
    replace: '    const left = standing(seen, tags).slice(seen.disks.length > 1 ? 1 : 0);\n',
  },
  {
    name: 'the last look at a removal is left out',
    file: 'libs/hypervisor/delete/removal.ts',
    find: '    const isTrusted =',
    replace:
      '    if (hadTrouble) return { leftovers: [], isWhole: true, trouble: null };\n    const isTrusted =',
  },
  {
    name: 'what an undo could not remove is not told',
    file: 'libs/hypervisor/create/undo.ts',
    find: 'const left = { leftovers: [...leftovers, ...files], layers };',
    replace: 'const left = { leftovers: files.slice(leftovers.length), layers };',
  },
  {
    name: 'an undo believes what QEMU lists',
    file: 'libs/hypervisor/create/undo.ts',
    find: "{ start, tags, trust: 'in-files' }, sight)",
    replace: "{ start, tags, trust: 'listed' }, sight)",
  },
  {
    name: 'a machine that was stopped for a capture stays stopped when it fails',
    file: 'libs/hypervisor/create/undo.ts',
    find: 'const runsOn = !stands || (await letRunOn(errand));',
    replace: 'const runsOn = stands || !stands;',
  },
  {
    name: 'a machine that was stopped for a capture stays stopped when its worker dies',
    file: 'libs/hypervisor/create/create.ts',
    find: '  const runs = !(await mayHaveStopped(errand, start)) || (await letRunOn(errand));\n',
    replace: '  const runs = start.wasRunning || (await letRunOn(errand));\n',
  },
  {
    name: 'a file is published before it is complete',
    file: 'libs/hypervisor/create/capture.ts',
    find: "  const made = [...targets, ...(await together(works))];\n  await publish(errand, start.snapshotId ?? '', imagesOf(start));\n",
    replace:
      "  await publish(errand, start.snapshotId ?? '', imagesOf(start));\n  const made = [...targets, ...(await together(works))];\n",
  },
  {
    name: 'new files are not in their directory for good before a machine writes into them',
    file: 'libs/hypervisor/create/capture.ts',
    find: '    await place.world.files.syncDirectory(directory);\n',
    replace: '',
  },
  {
    name: 'a copy gets its name before it is whole',
    file: 'libs/hypervisor/create/backup.ts',
    find: "  await steps.take('copy the disks', null, () => jobsEnd(errand, backups));\n",
    replace:
      "  await publish(errand, start.snapshotId ?? '', targetsOf(start));\n  await steps.take('copy the disks', null, () => jobsEnd(errand, backups));\n",
  },
  {
    name: 'copies go on when the capture has failed',
    file: 'libs/hypervisor/create/create.ts',
    find: "  if (trouble?.kind === 'refused') await stopBackups(errand, start);\n",
    replace: '',
  },
  {
    name: 'a guest is not thawed when its capture fails',
    file: 'libs/hypervisor/create/quiesce.ts',
    find: '  } finally {\n    const thawed',
    replace:
      '  } catch (error) {\n    keep(errand, held(quiesce, 0, { count: 0 }));\n    throw error;\n  }\n  {\n    const thawed',
  },
  {
    name: 'a guest stays frozen when the worker dies',
    file: 'libs/hypervisor/create/create.ts',
    find: '  await thawAgain(errand, start);\n  await awaitFoldJobs(errand, start);\n',
    replace: '  await awaitFoldJobs(errand, start);\n',
  },
];

/** How a look could tell something wrong. */
const LOOK_MUTANTS: readonly Mutant[] = [
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
    name: 'an early look is gone by, however long ago it was',
    file: 'libs/hypervisor/look/early-looks.ts',
    find: '    if (!look || this.#world.clock.monotonic() - look.begunAt > EARLY_LOOK_AGE_MAX_MS) return nothing;\n',
    replace: '    if (!look) return nothing;\n',
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

/** How a load could go wrong. */
const LOAD_MUTANTS: readonly Mutant[] = [
  {
    name: 'the machine runs on what it loaded before the log knows of it',
    file: 'libs/hypervisor/load/load-machine.ts',
    find: '  await recordLoaded(errand, loading);\n  return goOnLoaded(errand, loading, power);\n',
    replace: '  void recordLoaded(errand, loading);\n  return goOnLoaded(errand, loading, power);\n',
  },
  {
    name: 'a load that is done again does not stop the machine',
    file: 'libs/hypervisor/load/load-machine.ts',
    find: "    await setRunning(errand, sight.power, 'paused');\n    const obstacle",
    replace: '    const obstacle',
  },
  {
    name: 'a disk that could not be loaded counts as loaded',
    file: 'libs/hypervisor/load/load-images.ts',
    find: "    await steps.take('load the image', device, () =>\n",
    replace: "    waiting.delete(device);\n    await steps.take('load the image', device, () =>\n",
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
    find: "  const power = hasStopped ? await setRunning(errand, await powerNow(errand), 'running') : 'running';\n",
    replace: "  const power = hasStopped ? 'running' : await powerNow(errand);\n",
  },
  {
    name: 'nobody notices that somebody has let the machine run in the middle of a load',
    file: 'libs/hypervisor/load/load-live.ts',
    find: '    if (hasRun)\n',
    replace: '    if (hasRun && power === null)\n',
  },
  {
    name: 'half of what was to be saved of the present stays',
    file: 'libs/hypervisor/load/load.ts',
    find: "  if (report.type !== 'ReportFailed' || !load.pin.isDue) return report;\n",
    replace: "  if (report.type !== 'ReportFailed' || load.pin.isSaved || load.pin.isDue) return report;\n",
  },
  {
    name: 'the present is saved in part',
    file: 'libs/hypervisor/load/load-pin.ts',
    find: '    if (!found.isWhole) throw',
    replace: '    if (found.evidence.length === 0 && !found.isWhole) throw',
  },
  {
    name: 'the newest pin is let go although no other replaces it',
    file: 'libs/hypervisor/load/load-aftermath.ts',
    find: 'const replaced = request.pin ? older : older.slice(0, -1);',
    replace: 'const replaced = older;',
  },
  {
    name: 'a pin that could not be removed is let go in silence',
    file: 'libs/hypervisor/load/clear-away.ts',
    find: '  return { replaced, orphans: replaced.flatMap((pin) => tagsLeft(pin, after)) };',
    replace: '  return { replaced: pins, orphans: [] };',
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
  },
];

/** How a delete could go wrong. */
const DELETE_MUTANTS: readonly Mutant[] = [
  {
    name: 'nobody looks whether a layer was folded already, and takes it for folded',
    file: 'libs/hypervisor/delete/fold.ts',
    find: '  (await headerBacking(place, into)) === (base?.file ?? null);',
    replace: '  (await headerBacking(place, into)) !== undefined || base === null;',
  },
  {
    name: 'what is below a layer is believed to hold the same',
    file: 'libs/hypervisor/delete/push.ts',
    find: '  if (isSame !== true) {\n',
    replace: '  if (isSame === null) {\n',
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
    find: "  if (before === 'running') await setRunning(errand, await powerNow(errand), 'running');\n",
    replace: "  if (before === 'off') await setRunning(errand, await powerNow(errand), 'running');\n",
  },
  {
    name: 'nobody waits for the jobs of a worker that died',
    file: 'libs/hypervisor/delete/fold-job.ts',
    find: "    if (status === 'concluded') continue;\n    const trouble",
    replace: "    if (status !== 'null') continue;\n    const trouble",
  },
  {
    name: 'a worker that comes back does not let the machine run on',
    file: 'libs/hypervisor/delete/delete.ts',
    find: '    stopped.set(operationId, mayRun(start) && (await mayHaveStopped(errand, deletion, sight.power)));\n',
    replace: '    stopped.set(operationId, false);\n',
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
    name: 'a file is unlinked although the log does not name it',
    file: 'libs/hypervisor/load/clear-away.ts',
    find: 'const named = files.filter((file) => unlinks.includes(file));',
    replace: 'const named = files.filter((file) => unlinks.includes(file) || vm.layers.has(file));',
  },
  {
    name: 'what is unlinked may come back when the host dies',
    file: 'libs/hypervisor/delete/unlinking.ts',
    find: '  await world.files.syncDirectory(posix.dirname(file));\n',
    replace: '',
  },
  {
    name: 'a leftover that is still there is told as removed',
    file: 'libs/hypervisor/delete/leftovers.ts',
    find: '  if (tag !== IMAGE_DAMAGED) return countOf(disk, tag) === 0;\n',
    replace: "  if (tag !== IMAGE_DAMAGED) return countOf(disk, tag) === 0 || power !== 'off';\n",
  },
];

/** How the machine could be handled wrongly. */
export const HYPERVISOR_MUTANTS: readonly Mutant[] = [
  ...CREATE_MUTANTS,
  ...LOOK_MUTANTS,
  ...LOAD_MUTANTS,
  ...DELETE_MUTANTS,
];

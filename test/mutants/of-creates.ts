import type { Mutant } from './mutant.ts';

/** How a create could go wrong, or be taken back wrongly. */
export const CREATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'the machine is touched before the log knows of it',
    file: 'libs/hypervisor/carry-out.ts',
    find: '  await errand.journal.begin(admitted.start);\n',
    replace: '  void errand.journal.begin(admitted.start).catch(() => undefined);\n',
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
      "  if (trouble?.kind === 'refused')\n    return undo(errand, start, { sight, socket: '', below: await timesBelow(errand, start), found: await findCapture(errand, start, sight) }, trouble);\n  const seen = trouble ? null",
  },
  {
    name: 'no answer is taken for no',
    file: 'libs/hypervisor/create/create.ts',
    find: '  const seen = trouble ? null',
    replace:
      "  if (trouble?.kind === 'unknown')\n    return undo(errand, start, { sight, socket: '', below: await timesBelow(errand, start), found: await findCapture(errand, start, sight) }, trouble);\n  const seen = trouble ? null",
  },
  {
    name: 'whoever comes back to a create reads no files, and mends nothing',
    file: 'libs/hypervisor/create/create.ts',
    find: '  const looked = await lookAfter(errand, start);\n  const known =',
    replace:
      "  const looked = { socket: '', below: await timesBelow(errand, start), times: await timesOf(errand, start), sight: await look(errand.place, 'alone') };\n  const known =",
  },
  {
    name: 'a snapshot that is on one disk is on every disk',
    file: 'libs/hypervisor/create/evidence.ts',
    find: 'const isOnEveryDisk = Object.keys(start.files).every(',
    replace: 'const isOnEveryDisk = Object.keys(start.files).some(',
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
    find: ' && memory !== null && isOfOneInstant(errand, start);\n',
    replace: ' && isOfOneInstant(errand, start);\n',
  },
  {
    name: 'the undo of a create leaves the overlays under the machine',
    file: 'libs/hypervisor/create/undo.ts',
    find: '  const { kept, stuck } = await pushBackOrNote(errand, start, tops, looked);\n',
    replace: '  const { kept, stuck } = await pushBackOrNote(errand, start, tops.slice(1), looked);\n',
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
    find: 'const left = { leftovers: [...leftovers, ...files, ...stuck, ...mark], layers };',
    replace: 'const left = { leftovers: files.slice(leftovers.length), layers };',
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
    find: '() => place.world.files.syncDirectory(directory)',
    replace: '() => place.world.files.stat(directory)',
  },
  {
    name: 'a copy gets its name before it is whole',
    file: 'libs/hypervisor/create/backup.ts',
    find: '  await awaitCopies(errand, start);\n',
    replace:
      "  await publish(errand, start.snapshotId ?? '', targetsOf(start));\n  await awaitCopies(errand, start);\n",
  },
  {
    name: 'a guest whose freeze was not answered is taken for one that is not frozen',
    file: 'libs/hypervisor/create/quiesce.ts',
    find: "  const thawed = await thaw(errand, at);\n  const words = 'why' in thawed ? `${why}; ${thawed.why}` : why;\n",
    replace: '  const words = why;\n',
    journey: 'a guest is frozen',
  },
  {
    name: 'a guest stays frozen when the worker dies',
    file: 'libs/hypervisor/create/create.ts',
    find: '  await thawAgain(errand, start);\n  await awaitFoldJobs(errand);\n',
    replace: '  await awaitFoldJobs(errand);\n',
    journey: 'a guest is frozen',
  },
  {
    name: 'the machine runs on before an overlay is gone that was pushed back',
    file: 'libs/hypervisor/create/create.ts',
    find: "if (stands) await dropPushedBack(errand, start, await look(errand.place, 'alone'));",
    replace: '',
    journey: 'a capture is taken back',
  },
];

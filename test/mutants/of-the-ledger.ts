import type { Mutant } from './mutant.ts';

/** What the ledger could decide or believe wrongly. */
export const LEDGER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a new snapshot descends from the newest one, whatever was loaded since',
    file: 'libs/ledger/create.ts',
    find: 'parentId: vm.current.id,',
    replace: 'parentId: [...vm.snapshots.keys()].at(-1) ?? null,',
  },
  {
    name: 'what a load saves of the present descends from what is loaded',
    file: 'libs/ledger/reports.ts',
    find: 'name, parentId: vm.current.id }',
    replace: 'name, parentId: operation.snapshotId }',
  },
  {
    name: 'a load leaves the current snapshot as it was',
    file: 'libs/ledger/evolve.ts',
    find: "  vm.current = { id: snapshotId, confidence: 'known' };\n",
    replace:
      "  if (event.type === 'SnapshotCreated') vm.current = { id: snapshotId, confidence: 'known' };\n",
  },
  {
    name: 'the children of what is deleted keep it as their parent',
    file: 'libs/ledger/evolve.ts',
    find: '  for (const child of childrenOf(vm, id)) child.parentId = snapshot.parentId;\n',
    replace: '',
  },
  {
    name: 'a delete that failed leaves a complete snapshot as retired',
    file: 'libs/ledger/evolve.ts',
    find: "status: isHeld ? 'suspect' : status }",
    replace: "status: isHeld ? 'suspect' : status === 'complete' ? 'retired' : status }",
  },
  {
    name: 'what the machine stands on may be discarded',
    file: 'libs/ledger/delete.ts',
    find: '  if (!first) return;\n',
    replace: '  if (!first || vm.disks.length > 0) return;\n',
  },
  {
    name: 'a create is accepted while something is under way',
    file: 'libs/ledger/create.ts',
    find: '  requireIdle(vm);\n',
    replace: '',
  },
  {
    name: 'a held machine takes deletes',
    file: 'libs/ledger/delete.ts',
    find: '  requireNotHeld(vm);\n  const snapshot = requireSnapshot(vm, snapshotId);\n',
    replace: '  const snapshot = requireSnapshot(vm, snapshotId);\n',
  },
  {
    name: 'a discard takes the children along, unasked',
    file: 'libs/ledger/delete.ts',
    find: "      if (strategy === 'discard') requireChildless(snapshot, vm);\n",
    replace: '',
  },
  {
    name: 'a merge takes what others read through it',
    file: 'libs/ledger/delete.ts',
    find: '  if (losers.length === 0) return;\n  const names = losers',
    replace: '  if (losers.length >= 0) return;\n  const names = losers',
    journey: 'a tag reads through what is merged',
  },
  {
    name: 'a retired snapshot can be loaded',
    file: 'libs/ledger/load.ts',
    find: "  if (status !== 'complete')\n",
    replace: "  if (status !== 'complete' && status !== 'retired')\n",
  },
  {
    name: 'a held machine is saved before a load, torn as it is',
    file: 'libs/ledger/load.ts',
    find: 'const pin = vm.hold || wrongChainIn(vm) ? undefined',
    replace: 'const pin = wrongChainIn(vm) ? undefined',
  },
  {
    name: 'an operation that was called off may begin all the same',
    file: 'libs/ledger/reports.ts',
    find: "  if (vm.operation?.id !== start.operationId) throw new Refusal('not-cancelable', 'the operation has ended');\n  if (vm.operation.started)",
    replace: '  if (vm.operation?.started)',
  },
  {
    name: 'a layer is pushed down although snapshots live inside it',
    file: 'libs/ledger/layers.ts',
    find: ' && tenantsOf(remaining, file).length === 0;',
    replace: ';',
  },
  {
    name: 'nobody is told where the content went that was pushed down',
    file: 'libs/ledger/layers.ts',
    find: 'return base === undefined ? [] : [{ snapshotId: id, device, file: base }];',
    replace: 'return base === undefined ? [] : [{ snapshotId: id, device, file: file ?? base }];',
  },
];

import { type Command, type Finding, type Labels, type Strategy, type Vm, wrongChainIn } from '#ledger';
import type { Chance } from './chance.ts';
import { content, create, failure, load, register, remove, type Scribe, start, success } from './scribe.ts';

/** Test-only. What programs stumble over. Each is a name that a snapshot may have. */
export const ODD_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  '1',
  '-1',
  '..',
  "'; DROP TABLE snapshots; --",
  '%_"?1',
  ' ',
  `${'😀'.repeat(63)}abc`,
];

const STRATEGIES: readonly Strategy[] = ['retire', 'merge', 'merge-force', 'discard', 'discard-force'];

const labels = (chance: Chance): Labels =>
  Object.fromEntries(
    Array.from({ length: chance.below(4) }, () => [
      chance.of(['__proto__', 'constructor', 'tier', 'ein Wort', '']) || 'k',
      chance.of(['gold', '', '😀', 'tab\\there']) ?? '',
    ]),
  );

/** Lets one thing happen to a machine, or to its clock. */
export async function live(scribe: Scribe, vmId: string, chance: Chance): Promise<void> {
  if (chance.is(0.4)) scribe.now += chance.below(3); // Many events have the time of the one before.
  if (chance.is(0.05)) scribe.now -= chance.below(100);
  const vm = scribe.vm(vmId);
  const command = vm.life === 'unborn' ? register(vmId) : (vm.operation ? work : idle)(vm, chance);
  await scribe.ask(vmId, command, chance.of(['http:ann', 'kafka:bob', 'ledgerctl:root']));
}

/** What happens while an operation is under way. */
function work(vm: Vm, chance: Chance): Command {
  const dice = chance.next();
  if (dice < 0.3) return start(vm);
  if (dice < 0.35 && vm.operation?.kind === 'load') return content(vm, vm.operation);
  if (dice < 0.65) return success(vm);
  if (dice < 0.75) return failure(vm, 'undone');
  if (dice < 0.8) return failure(vm, 'held', ['vda', 'vdb'].slice(chance.below(3)));
  if (dice < 0.85) return { type: 'CancelOperation', operationId: vm.operation?.id ?? '' };
  return say(vm, chance);
}

function idle(vm: Vm, chance: Chance): Command {
  return chance.is(wrongChainIn(vm) ? 0.7 : 0.1) ? lookAround(vm, chance) : wish(vm, chance);
}

function wish(vm: Vm, chance: Chance): Command {
  const dice = chance.next();
  const [operationId, id] = [chance.uuid(), chance.of([...vm.snapshots.keys()]) ?? ''];
  if (vm.hold) return mend(vm, chance, load(id, operationId));
  if (dice < 0.4) {
    const name = chance.is(0.3) ? chance.of(ODD_NAMES) : undefined;
    const snapshotId = chance.uuid();
    const wish = {
      operationId,
      name: name ?? `n${snapshotId}`,
      labels: labels(chance),
      ...capture(vm, chance),
    };
    return create(snapshotId, wish);
  }
  if (dice < 0.55) return load(id, operationId, chance.is(0.6) ? chance.uuid() : undefined);
  if (dice < 0.8) return remove(id, operationId, chance.of(STRATEGIES) ?? 'merge');
  if (dice < 0.81) return { type: 'DeleteAllSnapshots', operationId };
  return say(vm, chance);
}

/** A look at the disks that finds them other than they were left, or as they should be. */
function lookAround(vm: Vm, chance: Chance): Command {
  if (chance.is(0.3)) return { type: 'AdoptSnapshots', ids: [chance.uuid(), chance.uuid()] };
  if (chance.is(0.1)) return { type: 'ReleaseHold', note: 'looked at it' };
  const kinds = ['missing', 'partial', 'duplicate', 'renamed', 'wrong-chain'] as const;
  const about = [...vm.snapshots.keys()].filter(() => chance.is(0.3));
  const foreign = chance.is(0.5) ? [foreignTag(vm, chance)] : [];
  const findings: Finding[] = [
    ...about.map((snapshotId) => found(chance.of(kinds) ?? 'missing', { snapshotId })),
    ...(chance.is(0.2) ? [found('wrong-chain', { device: 'vda' })] : []),
    ...foreign,
  ];
  return { type: 'ReportDrift', disks: vm.disks, foreignTags: [], findings, stopped: chance.is(0.2) };
}

const found = (kind: Finding['kind'], about: Partial<Finding>): Finding => ({
  ...{ kind, message: `it is ${kind}`, evidence: [] },
  ...about,
});

/** On every disk, so that it can be adopted. */
function foreignTag({ disks }: Vm, chance: Chance): Finding {
  const tag = chance.is(0.3) ? (chance.of(ODD_NAMES) ?? 'x') : `native ${chance.below(99)}`;
  const evidence = disks.map(({ device, file }) => ({
    ...{ device, file, tag, nativeId: '1', date: chance.below(9), vmClockNs: chance.below(2) },
    vmStateSizeBytes: 0,
  }));
  return found('foreign', { tag, evidence });
}

/** Inside, outside, or as the machine does it by itself. */
function capture({ disks }: Vm, chance: Chance) {
  if (chance.is(0.4)) return {};
  const modes = ['internal', 'external', 'external', 'none'] as const;
  const memory = chance.of(['internal', 'external'] as const) ?? 'internal';
  return { memory, disks: disks.map(({ device }) => ({ device, mode: chance.of(modes) ?? 'none' })) };
}

function mend({ hold }: Vm, chance: Chance, loading: Command): Command {
  const leftover = chance.of(hold?.leftovers ?? []);
  if (leftover && chance.is(0.6)) {
    const { device, file, tag } = leftover;
    return { type: 'ReportLeftoverRemoved', leftover: { snapshotId: null, device, file, tag } };
  }
  return chance.is(0.5) ? loading : { type: 'ReleaseHold', note: 'looked at it' };
}

/** What needs no machine. */
function say(vm: Vm, chance: Chance): Command {
  const snapshotId = chance.of([...vm.snapshots.keys()]) ?? '';
  const dice = chance.next();
  if (dice < 0.15) return { type: 'UnretireSnapshot', snapshotId };
  if (dice < 0.35) return { type: 'PatchSnapshot', snapshotId, name: chance.of(ODD_NAMES) ?? 'x' };
  if (dice < 0.45) return { type: 'PatchSnapshot', snapshotId, description: `said ${chance.next()}\\n😀` };
  if (dice < 0.6) return { type: 'PatchSnapshot', snapshotId, labels: labels(chance) };
  if (dice < 0.75) return { type: 'PatchSnapshot', snapshotId, protected: chance.is(0.3) };
  if (dice < 0.85)
    return { type: 'ChangeVm', change: { name: `web ${chance.below(9)}`, labels: labels(chance) } };
  if (dice < 0.9)
    return { type: 'ChangeVm', change: { defaults: { vda: 'none' }, guestAgent: '/run/ga.sock' } };
  const disks = vm.disks.map((disk) => ({ ...disk, node: `node-${chance.below(9)}` }));
  return { type: 'ReportDisks', disks, foreignTags: [] };
}

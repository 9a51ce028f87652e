import * as fc from 'fast-check';
import type { Command, CommandOf } from '../commands.ts';
import type { FailureCode } from '../refusal.ts';
import { orphansIn } from '../repair.ts';
import type { Finding, Leftover, Strategy } from '../shapes.ts';
import { pinsOf, type OpenOperation, type Vm } from '../vm.ts';
import { creation, found, leftover, pinning, starting, strange, VDA, VDB } from './events.ts';

/**
 * A command that may come next, complete once the VM is known: reports are about the operation that is open then.
 * `at` is its place in the history and makes operations distinct.
 */
export type Move = (vm: Vm, at: number) => Command;

/** Which of the live snapshots is meant; sometimes none of them. */
const which = fc.nat({ max: 7 });
const idIn = ({ snapshots }: Vm, which: number): string =>
  [...snapshots.keys(), 'nobody'][which % (snapshots.size + 1)] ?? 'nobody';
/** So few names that they meet often. */
const name = fc.constantFrom('x', 'y', 'z', '1', '__proto__', 'constructor', 'old', '');
const device = fc.constantFrom('vda', 'vdb', 'vdz');
const labels = fc.dictionary(
  fc.constantFrom('k', 'constructor', '__proto__'),
  fc.constantFrom('', 'v', '\u0000'),
  {
    noNullPrototype: true,
  },
);
const strategy = fc.constantFrom<Strategy>('retire', 'merge', 'merge-force', 'discard', 'discard-force');

/** Live snapshots that a create of these histories leaves room for. */
export const SNAPSHOTS_MAX = 6;

type Asked<T extends Command['type']> = Omit<CommandOf<T>, 'type' | 'snapshotId' | 'operationId' | 'limits'>;

const creates = fc
  .tuple(fc.boolean(), which, fc.record<Asked<'CreateSnapshot'>>({ name, labels }, { requiredKeys: [] }))
  .map(([isNew, which, asked]): Move => (vm, at) => ({
    type: 'CreateSnapshot',
    snapshotId: isNew || which > 0 ? `snapshot-${at}` : idIn(vm, 0),
    operationId: `${at}`,
    limits: { snapshotsMax: SNAPSHOTS_MAX, chainMax: 64 },
    ...asked,
  }));
const loads = fc.tuple(which, fc.boolean()).map(([which, isSafe]): Move => (vm, at) => ({
  type: 'LoadSnapshot',
  snapshotId: idIn(vm, which),
  operationId: `${at}`,
  ...(isSafe && { pin: { snapshotId: `pin-${at}`, what: 'disks' as const } }),
}));
const deletes = fc.tuple(which, strategy).map(([which, strategy]): Move => (vm, at) => ({
  type: 'DeleteSnapshot',
  snapshotId: idIn(vm, which),
  operationId: `${at}`,
  strategy,
}));
const deletesAll = fc.constant<Move>((_, at) => ({ type: 'DeleteAllSnapshots', operationId: `${at}` }));
const unretires = which.map((which): Move => (vm) => ({
  type: 'UnretireSnapshot',
  snapshotId: idIn(vm, which),
}));
const patches = fc
  .tuple(which, fc.record<Asked<'PatchSnapshot'>>({ name, labels, description: name }, { requiredKeys: [] }))
  .map(([which, asked]): Move => (vm) => ({ type: 'PatchSnapshot', snapshotId: idIn(vm, which), ...asked }));
const protections = fc.tuple(which, fc.boolean()).map(([which, isProtected]): Move => (vm) => ({
  type: 'PatchSnapshot',
  snapshotId: idIn(vm, which),
  protected: isProtected,
}));
const changes = fc
  .record(
    { name, labels, defaults: fc.dictionary(device, fc.constantFrom('none' as const, 'internal' as const)) },
    { requiredKeys: [] },
  )
  .map((change): Move => () => ({ type: 'ChangeVm', change }));
const cancels = fc.constant<Move>((vm) => ({ type: 'CancelOperation', operationId: openIn(vm) }));
const releases = fc.constant<Move>(() => ({ type: 'ReleaseHold', note: 'looked at it' }));

const openIn = (vm: Vm): string => vm.operation?.id ?? 'none';
const ended = (vm: Vm) => ({ operationId: openIn(vm), steps: [], transcriptDigest: '' });

/** First the present is saved, if it is to be; then all is in place; then every other pin is replaced. */
function loadedAs(
  vm: Vm,
  { request, isPinned, isLoaded }: Extract<OpenOperation, { kind: 'load' }>,
): Command {
  const { pin, operationId, snapshotId } = request;
  if (pin && !isPinned) {
    return { type: 'ReportPinned', pinned: { ...pinning(pin.snapshotId, ''), operationId } };
  }
  if (!isLoaded) return { type: 'ReportContentLoaded', content: { operationId } };
  const others = pinsOf(vm).filter(({ id, isProtected }) => id !== pin?.snapshotId && !isProtected);
  const replaced = isPinned ? others.map(({ id }) => id).filter((id) => id !== snapshotId) : [];
  return { type: 'ReportLoaded', loaded: { ...ended(vm), runs: true }, replaced };
}

/** The report that goes on with the open operation, or ends it well; one about nothing when none is open. */
const success: Move = (vm) => {
  switch (vm.operation?.kind) {
    case 'load':
      return loadedAs(vm, vm.operation);
    case 'delete':
      return { type: 'ReportDeleted', deleted: ended(vm) };
    case 'create':
    case undefined: {
      const taken = vm.operation?.snapshotId ?? '';
      return { type: 'ReportCreated', created: { ...creation(taken), ...ended(vm) } };
    }
  }
};

const leftOn = fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom('vda', 'vdb'));
const leftovers: fc.Arbitrary<Leftover[]> = fc.array(
  leftOn.map(([of, on]) => leftover(of, on)),
  { maxLength: 2 },
);
const failures = fc
  .record({
    outcome: fc.constantFrom('undone' as const, 'held' as const),
    reason: fc.constantFrom<FailureCode>('expired', 'refused-by-qemu', 'machine-gone'),
    leftovers,
  })
  .map((how): Move => (vm) => ({ type: 'ReportFailed', failed: { ...ended(vm), message: '', ...how } }));
const starts = fc.constant<Move>((vm) => ({ type: 'StartOperation', start: starting(openIn(vm)) }));
/** Some of them answer another question than the one that is open. */
const strays = fc.constantFrom<Move>(
  (vm) => ({ type: 'ReportLoaded', loaded: { ...ended(vm), runs: true } }),
  (vm) => ({ type: 'ReportDeleted', deleted: ended(vm) }),
);
/** What is left by now, and sometimes what is not. */
const removals = leftOn.map(([of, on]): Move => (vm) => {
  const { device, file, tag } = vm.hold?.leftovers[0] ?? leftover(of, on);
  return { type: 'ReportLeftoverRemoved', leftover: { snapshotId: null, device, file, tag } };
});
const looks = fc.boolean().map((isThere): Move => () => ({
  type: 'ReportDisks',
  disks: [VDA, VDB],
  foreignTags: isThere ? [{ device: 'vdb', tag: 'old' }] : [],
}));

const kinds = fc.constantFrom<Finding['kind']>(
  'missing',
  'partial',
  'duplicate',
  'renamed',
  'wrong-chain',
  'wrong-current',
);
/** Snapshots that are not as they were left, a tag that is nobody's, a machine on a wrong layer; or nothing. */
const drifts = fc
  .record({ about: fc.array(fc.tuple(which, kinds), { maxLength: 3 }), isForeign: fc.boolean(), luck: which })
  .map(({ about, isForeign, luck }): Move => (vm, at) => {
    const of = about.map(([which, kind]) => found(kind, { snapshotId: idIn(vm, which) }));
    const wrong = luck === 0 ? [found('wrong-chain', { device: 'vda' })] : [];
    const foreign = isForeign ? [strange(`native ${at}`)] : [];
    const orphan = luck === 1 ? [found('orphan', { file: `/images/sl-${at}` })] : [];
    const findings = [...of, ...wrong, ...foreign, ...orphan];
    return { type: 'ReportDrift', disks: vm.disks, foreignTags: [], findings, stopped: false };
  });
const repairs = fc.constant<Move>((vm) => ({ type: 'StartRepair', worker: 'w', orphans: orphansIn(vm) }));
const adoptions = fc.constant<Move>((_, at) => ({ type: 'AdoptSnapshots', ids: [`adopted-${at}`] }));

const often = (weight: number, arbitrary: fc.Arbitrary<Move>) => ({ weight, arbitrary });

/** Everything that can be asked of a registered VM but to forget it. */
export const moves = fc.array(
  fc.oneof(
    often(14, creates),
    often(6, loads),
    often(6, deletes),
    often(1, deletesAll),
    often(8, unretires),
    often(6, patches),
    often(5, protections),
    often(2, changes),
    often(2, cancels),
    often(3, releases),
    often(5, starts),
    often(24, fc.constant(success)),
    often(6, failures),
    often(2, strays),
    often(4, removals),
    often(2, looks),
    often(5, drifts),
    often(3, adoptions),
    often(2, repairs),
  ),
  { minLength: 1, maxLength: 80, size: 'max' }, // Or else hardly one is longer than ten.
);

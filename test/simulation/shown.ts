import { canonicalJson, type StoredEvent } from '#event-store';
import {
  childrenOf,
  driftConditions,
  evolve,
  type Hold,
  readVmEvent,
  type Snapshot,
  unborn,
  type Vm,
} from '#ledger';
import { type LineageNode, SNAPSHOT_STATUSES, type SnapshotView, type Views, type VmView } from '#views';
import { placeInWords, type Standing } from './standing.ts';
import type { LoggedEvent } from './logged-event.ts';
import { must } from './violation.ts';

/** More than there are in any simulated world: every list is one page. */
const PAGE = { pageSize: 1_000 };
/** What loads have saved of the present is shown only to those who ask for it. */
const WITH_PINS = { ...PAGE, implicit: true };

/** Everything the views say of a VM, beside what `evolve` makes of its events. Throws a `Violation`. */
export function checkShown(views: Views, vmId: string, stream: readonly StoredEvent[]): void {
  let vm = unborn();
  let askedCount = 0;
  for (const { record, version } of stream) {
    const event = JSON.parse(record) as LoggedEvent & { readonly schemaVersion: string };
    vm = evolve(vm, { ...readVmEvent(event.type, event.schemaVersion, event.data), id: event.id });
    if (ASKING.test(event.type)) askedCount += 1;
    const shown = views.vm(vmId, { version })?.body ?? null;
    same(shown, vmOf(vm), `${vmId} at version ${version}`);
  }
  const { snapshots } = views.snapshots(vmId, { ...WITH_PINS, status: [...ALIVE] });
  same(snapshots.map(saidOf), [...vm.snapshots.values()].map(foldedOf), `the snapshots of ${vmId}`);
  same(views.lineage(vmId, WITH_PINS).nodes.map(placeOf), treeOf(vm, null), `the lineage of ${vmId}`);
  checkOperations(views, vm, askedCount);
}

/** The same, as anybody would ask for it who knows nothing of events. */
export function standingShown(views: Views, vmId: string): Standing {
  const { snapshots } = views.snapshots(vmId, { ...WITH_PINS, status: [...ALIVE] });
  const { current, conditions = [] } = views.vm(vmId)?.body ?? {};
  return {
    currentId: current?.snapshotId ?? null,
    places: snapshots.map((shown) => placeInWords(shown.id, shown)),
    leftovers: null,
    isHeld: conditions.some(({ type }) => type === 'Held'),
  };
}

/** Events that begin an operation, or are one. */
const ASKING = /(Requested|Retired|Unretired)$/;

const ALIVE = SNAPSHOT_STATUSES.filter((status) => status !== 'deleted' && status !== 'failed');

function vmOf({ id, name, host, monitor, guestAgent, labels, ...vm }: Vm): VmView {
  return {
    ...{ id, name, host, monitor, guestAgent, labels },
    disks: vm.disks.map(({ readOnly: _readOnly, ...disk }) => disk),
    current: { snapshotId: vm.current.id, confidence: vm.current.confidence },
    operationId: vm.operation?.id ?? null,
    conditions: [
      ...(vm.hold ? [conditionOf(vm.hold)] : []),
      ...driftConditions({ findings: [...vm.drift], unlisted: vm.unlistedDrift }),
    ],
  };
}

const conditionOf = ({ reason, message }: Hold): VmView['conditions'][number] => ({
  ...{ type: 'Held', reason, message },
});

const saidOf = (shown: SnapshotView): unknown[] => [
  ...[shown.id, shown.name, shown.description, shown.labels, shown.parentId, shown.status],
  ...[
    shown.protected,
    shown.vmState,
    shown.memory.mode,
    shown.disks.map(({ device, mode }) => [device, mode]),
  ],
];

const foldedOf = (folded: Snapshot): unknown[] => [
  ...[folded.id, folded.name, folded.description, folded.labels, folded.parentId, folded.status],
  ...[
    folded.isProtected,
    folded.vmState,
    folded.memory.mode,
    folded.disks.map(({ device, mode }) => [device, mode]),
  ],
];

const placeOf = ({ id, depth, childCount }: LineageNode): unknown[] => [id, depth, childCount];

/** In pre-order, siblings as they were asked for. */
const treeOf = (vm: Vm, parentId: string | null, depth = 0): unknown[][] =>
  [...vm.snapshots.values()]
    .filter((snapshot) => snapshot.parentId === parentId)
    .flatMap(({ id }) => [
      [id, depth, childrenOf(vm, id).filter(({ implicit }) => !implicit).length],
      ...treeOf(vm, id, depth + 1),
    ]);

/** One is open at most, and what holds the machine is what operations say they have left. */
function checkOperations(views: Views, { id: vmId, operation, hold }: Vm, askedCount: number): void {
  const { operations, totalSize } = views.operations({ ...PAGE, vmId });
  same(totalSize, askedCount, `how many operations ${vmId} had`);
  const open = operations.filter(({ done }) => !done).map(({ id }) => id);
  same(open, operation ? [operation.id] : [], `the open operations of ${vmId}`);
  const leftovers = new Set(operations.flatMap((one) => one.leftovers).map(textOf));
  same([...leftovers].toSorted(), (hold?.leftovers ?? []).map(textOf).toSorted(), `what is left on ${vmId}`);
}

const textOf = ({ device, file, tag }: Hold['leftovers'][number]): string => `${device} ${file} ${tag}`;

function same(shown: unknown, folded: unknown, about: string): void {
  const [one, other] = [canonicalJson(shown), canonicalJson(folded)];
  must(one === other, 'I11', () => `${about}: the views show ${one}, evolve says ${other}`);
}

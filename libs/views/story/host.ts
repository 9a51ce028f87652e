import {
  changeOf,
  type Command,
  type Disk,
  type DiskCapture,
  type LayerChange,
  layersOf,
  pinsOf,
  planLayers,
  type SnapshotMemory,
  type Vm,
} from '#ledger';

/* Test-only. What a worker would report of files that do not exist. */

const NOTHING: LayerChange = { set: [], gone: [], tops: [], contents: [] };

/** The machine goes on writing in new files on top of others. */
const goingOn = (
  name: string,
  on: readonly { readonly device: string; readonly file: string }[],
): LayerChange => {
  const made = on.map(({ device, file }) => ({
    ...{ device, file: `/images/${device}-${name}.qcow2`, format: 'qcow2', backing: file },
    origin: 'ours' as const,
  }));
  const tops = made.map(({ device, file, format }) => ({ device, node: `node-${name}`, file, format }));
  return { ...NOTHING, set: made, tops };
};

const memoryOf = (mode: SnapshotMemory['mode'], id: string): SnapshotMemory => {
  if (mode === 'none') return { mode };
  if (mode === 'internal') return { mode, device: 'vdb', sizeBytes: 4_096 };
  return {
    mode,
    file: `/images/memory-${id}.qcow2`,
    format: 'state',
    sizeBytes: 4_096,
    sha256: 'ab'.repeat(32),
  };
};

interface Capture {
  readonly id: string;
  readonly disks: readonly DiskCapture[];
  readonly memory?: SnapshotMemory['mode'] | undefined;
  /** Plugged in since: the capture covers it too. */
  readonly added?: readonly string[];
}

export function captured({ disks: known }: Vm, { id, disks, memory = 'internal', added = [] }: Capture) {
  const fileOf = (device: string): string =>
    known.find((disk) => disk.device === device)?.file ?? `/images/${device}.qcow2`;
  const named = (mode: string) => disks.filter((disk) => disk.mode === mode).map(({ device }) => device);
  const outside = named('external').map((device) => ({ device, file: fileOf(device) }));
  const contents = outside.map((held) => ({ snapshotId: id, ...held }));
  return {
    ...{ vmState: 'running' as const, memory: memoryOf(memory, id), consistency: 'memory' as const },
    evidence: [...named('internal'), ...added].map((device) => ({
      ...{ device, file: fileOf(device), tag: `sl-${id}`, nativeId: '1' },
      ...{ date: 0, vmClockNs: 0, vmStateSizeBytes: 0 },
    })),
    ...(outside.length > 0 && { layers: { ...goingOn(id, outside), contents } }),
  };
}

type Opened<K> = Extract<Vm['operation'], { readonly kind: K }>;

export function pinned(vm: Vm, { request }: Opened<'load'>): Command {
  const id = request.pin?.snapshotId ?? '';
  const disks = vm.disks.map(
    ({ device }, at) => ({ device, mode: at === 0 ? 'external' : 'internal' }) as const,
  );
  const { operationId } = request;
  return {
    type: 'ReportPinned',
    pinned: { operationId, disks, ...captured(vm, { id, disks, memory: 'none' }) },
  };
}

/** What is left of the machine's present is dropped, and so are earlier pins. */
export function loadedFrom(vm: Vm, { id: operationId, snapshotId }: Opened<'load'>) {
  const held = (vm.snapshots.get(snapshotId)?.disks ?? []).flatMap(({ device, mode, file }) =>
    mode === 'external' && file !== undefined ? [{ device, file }] : [],
  );
  const replaced = pinsOf(vm)
    .slice(0, -1)
    .map(({ id }) => id)
    .filter((id) => id !== snapshotId);
  const remaining = [...vm.snapshots.values()].filter(({ id }) => !replaced.includes(id));
  const layers = goingOn(operationId, held);
  const { gone } = changeOf(planLayers(after(vm, layers), remaining), vm, remaining);
  return { layers: { ...layers, gone }, replaced };
}

/** Everything that nobody asks for any more is folded. */
export function folded(vm: Vm, { targets }: Opened<'delete'>): LayerChange {
  const is = (id: string): boolean => targets.includes(id);
  const remaining = [...vm.snapshots.values()].filter(({ id }) => !is(id));
  const going = [...vm.snapshots.values()].filter(({ id }) => is(id));
  return changeOf(planLayers(vm, remaining, layersOf(going)), vm, remaining);
}

/** What a failure leaves: the machine writes on files that the operation has made. */
export const leftBehind = ({ disks, operation }: Vm): LayerChange =>
  goingOn(`${operation?.id}-left`, disks.slice(1));

function after(vm: Vm, { set, tops }: LayerChange): Pick<Vm, 'layers' | 'disks' | 'backups'> {
  const layers = new Map([...vm.layers, ...set.map((layer) => [layer.file, layer] as const)]);
  const disks = vm.disks.map((disk): Disk => ({
    ...disk,
    ...tops.find(({ device }) => device === disk.device),
  }));
  return { layers, disks, backups: vm.backups };
}

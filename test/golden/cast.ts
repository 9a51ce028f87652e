import {
  type DataOf,
  type Disk,
  type DiskEvidence,
  type Layer,
  type LayerChange,
  type MachineConfig,
  type PlannedLayer,
  tagOf,
} from '#ledger';

/* Two machines, and what their worker finds and does: what the story is told with. */

export const WEB = '0199b1b0-0000-7000-8000-0000000000a1';
export const DB = '0199b1b0-0000-7000-8000-0000000000d1';
export const idOf = (n: number): string => `0199b1b1-0000-7000-8000-${String(n).padStart(12, '0')}`;
export const operationOf = (n: number): string =>
  `0199b1b2-${String(n).padStart(4, '0')}-7000-8000-00000000000f`;

const DISKS = '/var/lib/images/web';
export const SNAPSHOTS = '/var/lib/snapledger/web';
export const LIMITS = { snapshotsMax: 1_000, chainMax: 64 };
const DATE = Date.parse('2026-11-22T09:00:00.000Z');
export const MEMORY_BYTES = 8_589_934_592;

export const plan = { hash: 'a'.repeat(64), basis: 'b'.repeat(64) };
const facts = {
  ...{ machine: 'pc-q35-7.2', ramBytes: 34_359_738_368, cpus: 4, cpuModel: 'qemu64-x86_64-cpu', qemu: '7.2' },
  devices: ['dev-vda (virtio-blk-pci)'],
};
export const config: MachineConfig = { hash: 'c'.repeat(64), facts };

export const disk = (device: string, node: string, more: Partial<Disk> = {}): Disk => ({
  ...{
    device,
    node,
    format: 'qcow2',
    file: `${DISKS}/${device}.qcow2`,
    readOnly: false,
    default: 'internal',
  },
  ...more,
});
/** Not for internal snapshots. */
export const raw = { format: 'raw', file: `${DISKS}/scratch.img`, default: null } as const;

export const AT_FIRST = disk('scratch', '#block3', { ...raw, default: 'external' });
export const seenOn = (top: Disk): Disk[] => [disk('vda', '#block1'), disk('vdb', '#block2'), top];

export const traceOf = (device: string, tag: string, vmStateSizeBytes = 0): DiskEvidence => ({
  ...{ device, file: `${DISKS}/${device}.qcow2`, tag, nativeId: '1' },
  ...{ date: DATE, vmClockNs: 1_234_567_890_123, vmStateSizeBytes },
});
export const inside = (tag: string): DiskEvidence[] => [traceOf('vda', tag), traceOf('vdb', tag)];

/** The scratch disk has one more layer with each snapshot or load. */
export const scratch = (n: number): string => `${SNAPSHOTS}/scratch-${n}.qcow2`;
export const layerOf = (n: number, backing: string): Layer => ({
  ...{ device: 'scratch', file: scratch(n), format: 'qcow2', backing, origin: 'ours' },
});
export const overlay = (n: number, backing: string, by: PlannedLayer['by'] = 'create'): PlannedLayer => ({
  ...{ device: 'scratch', file: scratch(n), format: 'qcow2', backing, node: `n${n}`, by },
  ...(by === 'copy' && { source: raw.file }),
});
export const NO_CHANGE: LayerChange = { set: [], gone: [], tops: [], contents: [] };
export const goesOnIn = (n: number, backing: string, snapshotId?: string): LayerChange => ({
  ...NO_CHANGE,
  set: [layerOf(n, backing)],
  tops: [{ device: 'scratch', node: `n${n}`, file: scratch(n), format: 'qcow2' }],
  contents: snapshotId === undefined ? [] : [{ snapshotId, device: 'scratch', file: backing }],
});

export const started = (n: number, snapshotId: string): DataOf<'OperationStarted'> => ({
  ...{ operationId: operationOf(n), snapshotId, worker: 'host-2/4711', wasRunning: true },
  nodes: { vda: '#block1', vdb: '#block2', scratch: '#block3' },
  files: { vda: `${DISKS}/vda.qcow2`, vdb: `${DISKS}/vdb.qcow2`, scratch: raw.file },
  ...({ plan: ['do it'], undo: ['take it back'], vmState: 'running', memory: 'none' } as const),
});

export const failed = (n: number, message: string, change: LayerChange) => ({
  ...({ operationId: operationOf(n), reason: 'no-space', message, outcome: 'held' } as const),
  leftovers: [{ device: 'vda', file: `${DISKS}/vda.qcow2`, tag: tagOf(idOf(3)), why: message }],
  layers: change,
});

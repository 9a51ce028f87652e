import type { Hypervisor, Journal } from '#hypervisor';
import { type Disk, type OpenOperation, Refusal, type Report, type Vm } from '#ledger';

/** Machines that are not there: two qcow2 disks each, and every operation goes as the test wants. */
export interface Machines extends Hypervisor {
  /** How the operations from now on end. */
  readonly next: { end: 'well' | 'refused' | 'held' | 'never' };
  /** How often a machine was looked at for a registration. */
  readonly looks: { count: number };
}

const disk = (monitor: string, device: string, format = 'qcow2'): Disk => ({
  device,
  node: `#${device}`,
  format,
  file: `${monitor}.${device}.${format}`,
  readOnly: false,
  default: format === 'qcow2' ? 'internal' : null,
});

export function openMachines(): Machines {
  const next: Machines['next'] = { end: 'well' };
  const looks = { count: 0 };
  return {
    next,
    looks,
    discover: async ({ monitor, disks = [] }) => {
      looks.count += 1;
      if (!monitor.startsWith('/m/'))
        throw new Refusal('path-not-allowed', `${monitor} is in none of the monitor roots: /m`);
      if (monitor.includes('nobody')) throw new Refusal('not-a-monitor', `nobody listens at ${monitor}`);
      const described = disks.map(({ device, file, format }) => ({ ...disk(monitor, device, format), file }));
      const found = described.length > 0 ? described : [disk(monitor, 'vda'), disk(monitor, 'vdb')];
      return { monitor, disks: found, foreignTags: [], power: 'running' };
    },
    status: async ({ disks }) => ({
      snapshottable: true,
      reasons: [],
      disks: disks.map(({ device }) => ({ device, snapshottable: true })),
    }),
    expect: () => undefined,
    carryOut: (vm, operation, journal) => carryOut(vm, operation, journal, next.end),
    removeLeftovers: async () => [],
    close: async () => undefined,
  };
}

async function carryOut(
  vm: Readonly<Vm>,
  operation: OpenOperation,
  journal: Journal,
  end: Machines['next']['end'],
): Promise<Report> {
  if (end === 'never') return new Promise(() => undefined);
  if (!operation.started) await journal.begin(startOf(vm, operation));
  journal.progress({ phase: 'working', percent: 50 });
  if (end !== 'well') return { type: 'ReportFailed', failed: failedAs(end, operation) };
  const done = { operationId: operation.id, steps: [], transcriptDigest: '' };
  switch (operation.kind) {
    case 'create':
      return { type: 'ReportCreated', created: { ...done, ...captured(vm, operation.snapshotId) } };
    case 'load':
      return { type: 'ReportLoaded', loaded: { ...done, runs: true } };
    case 'delete':
      return { type: 'ReportDeleted', deleted: done };
  }
}

const startOf = (vm: Readonly<Vm>, operation: OpenOperation) => ({
  operationId: operation.id,
  snapshotId: operation.snapshotId,
  worker: 'test-host',
  wasRunning: true,
  nodes: {},
  files: Object.fromEntries(vm.disks.map(({ device, file }) => [device, file])),
  plan: ['do it'],
  undo: ['undo it'],
  vmState: 'running' as const,
  memory: 'none' as const,
});

const captured = (vm: Readonly<Vm>, snapshotId: string) => ({
  vmState: 'running' as const,
  memory: { mode: 'none' as const },
  consistency: 'crash' as const,
  evidence: vm.disks.map(({ device, file }) => ({
    device,
    file,
    tag: `sl-${snapshotId}`,
    nativeId: '1',
    date: 0,
    vmClockNs: 0,
    vmStateSizeBytes: 0,
  })),
});

const failedAs = (end: 'refused' | 'held', { id: operationId }: OpenOperation) => ({
  operationId,
  reason: 'refused-by-qemu' as const,
  message: 'QEMU said no',
  outcome: end === 'held' ? ('held' as const) : ('undone' as const),
  leftovers: end === 'held' ? [{ device: 'vda', file: '/x', tag: 'sl-x', why: 'it would not go' }] : [],
  steps: [],
  transcriptDigest: '',
});

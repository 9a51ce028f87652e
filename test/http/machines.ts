import type { Hypervisor, Journal, Plan } from '#hypervisor';
import { type Disk, type Finding, type OpenOperation, Refusal, type Report, type Vm } from '#ledger';

/** Machines that are not there: two qcow2 disks each, and every operation goes as the test wants. */
export interface Machines extends Hypervisor {
  /** How the operations from now on end. */
  readonly next: { end: 'well' | 'refused' | 'held' | 'never' };
  /** How often a machine was looked at for a registration. */
  readonly looks: { count: number };
  /** What a look at a whole machine finds from now on. */
  readonly found: {
    findings: Finding[];
    stopped: boolean;
    refusal: Refusal | null;
    heldMonitor: string;
    stuck: string[];
  };
  /** What a plan finds when it looks at a machine. */
  readonly planned: { basis: string; refusal: Refusal | null };
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
  const planned: Machines['planned'] = { basis: 'as it was', refusal: null };
  const found: Machines['found'] = {
    findings: [],
    stopped: false,
    refusal: null,
    heldMonitor: '',
    stuck: [],
  };
  return {
    next,
    looks,
    found,
    planned,
    discover: async ({ monitor, disks = [] }) => {
      looks.count += 1;
      if (!monitor.startsWith('/m/'))
        throw new Refusal('path-not-allowed', `${monitor} is in none of the monitor roots: /m`);
      if (monitor.includes('nobody')) throw new Refusal('not-a-monitor', `nobody listens at ${monitor}`);
      const described = disks.map(({ device, file, format }) => ({ ...disk(monitor, device, format), file }));
      const found = described.length > 0 ? described : [disk(monitor, 'vda'), disk(monitor, 'vdb')];
      return { monitor, disks: found, foreignTags: [], below: [], power: 'running' };
    },
    agentPath: async (path) => {
      if (path.startsWith('/m/')) return path;
      throw new Refusal('path-not-allowed', `${path} is in none of the monitor roots: /m`);
    },
    status: async ({ disks }) => ({
      snapshottable: true,
      reasons: [],
      disks: disks.map(({ device }) => ({ device, snapshottable: true })),
      isOnWrongChain: found.findings.some(({ kind }) => kind === 'wrong-chain'),
    }),
    heldSince: ({ monitor }) => (monitor === found.heldMonitor ? 0 : null),
    expect: () => undefined,
    survey: async ({ disks, foreignTags }) => {
      const { refusal, findings, stopped } = found;
      if (refusal) throw refusal;
      return { disks: [...disks], foreignTags: [...foreignTags], below: [], findings, stopped };
    },
    plan: async (vm, operation) => {
      if (planned.refusal) throw planned.refusal;
      return planOf(vm, operation, planned.basis);
    },
    carryOut: (vm, operation, journal) => carryOut(vm, operation, journal, next.end),
    cancel: async () => undefined,
    removeLeftovers: async () => [],
    removeOrphans: async (_vm, orphans) => {
      found.findings = found.findings.filter(({ file }) => found.stuck.includes(file ?? ''));
      return orphans
        .filter(({ file }) => found.stuck.includes(file))
        .map((orphan) => ({ ...orphan, why: 'it is stuck' }));
    },
    close: async () => undefined,
  };
}

/** It copies a kilobyte for everything that goes, and calls new files after the operation. */
function planOf(vm: Readonly<Vm>, operation: OpenOperation, basis: string): Plan {
  const targets = operation.kind === 'delete' ? operation.targets : [];
  return {
    basis,
    commands: ['do it'],
    filesCreated: operation.kind === 'delete' ? [] : [`/m/sl-${operation.id}-1.qcow2`],
    filesUnlinked: [],
    snapshotsDiscarded: targets.filter((id) => id !== operation.snapshotId),
    bytes: 1024 * targets.length,
    stops: { machine: false, estimatedMs: 0 },
    report: reportOf(vm, operation),
  };
}

function reportOf(vm: Readonly<Vm>, operation: OpenOperation): Report {
  const done = { operationId: operation.id, steps: [], transcriptDigest: '' };
  switch (operation.kind) {
    case 'create':
      return { type: 'ReportCreated', created: { ...done, ...captured(vm, operation) } };
    case 'load':
      return { type: 'ReportLoaded', loaded: { ...done, runs: true } };
    case 'delete':
      return { type: 'ReportDeleted', deleted: done };
  }
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
  return reportOf(vm, operation);
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

/** Disks that are captured outside go on in the file that was named, or in one of ours. */
function captured(vm: Readonly<Vm>, { snapshotId, request }: Extract<OpenOperation, { kind: 'create' }>) {
  const topOf = (name: string) => vm.disks.find(({ device }) => device === name)?.file ?? '';
  const outside = request.disks.filter(({ mode }) => mode === 'external');
  const made = outside.map(({ device, file = `/m/${snapshotId}.${device}`, format = 'qcow2' }) => ({
    ...{ device, file, format, backing: topOf(device), origin: 'ours' as const },
  }));
  const { memory = 'none', memoryFile = '/m/memory' } = request;
  return {
    vmState: 'running' as const,
    memory:
      memory === 'external' ? { mode: memory, file: memoryFile, sizeBytes: 1 } : { mode: 'none' as const },
    consistency: 'crash' as const,
    layers: {
      set: made,
      gone: [],
      tops: made.map(({ device, file, format }) => ({ device, file, format, node: 'new' })),
      contents: outside.map(({ device }) => ({ snapshotId, device, file: topOf(device) })),
    },
    evidence: vm.disks
      .filter(({ device }) => !outside.some((disk) => disk.device === device))
      .map(({ device, file }) => ({
        ...{
          device,
          file,
          tag: `sl-${snapshotId}`,
          nativeId: '1',
          date: 0,
          vmClockNs: 0,
          vmStateSizeBytes: 0,
        },
      })),
  };
}

const failedAs = (end: 'refused' | 'held', { id: operationId }: OpenOperation) => ({
  operationId,
  reason: 'refused-by-qemu' as const,
  message: 'QEMU said no',
  outcome: end === 'held' ? ('held' as const) : ('undone' as const),
  leftovers: end === 'held' ? [{ device: 'vda', file: '/x', tag: 'sl-x', why: 'it would not go' }] : [],
  steps: [],
  transcriptDigest: '',
});

import type { SnapshotView } from '#views';
import type { Route } from './fake-ledgerd.ts';

/** Answers of ledgerd about one VM, as DESIGN has their shapes. */
export const VM_ID = '01900000-0000-7000-8000-000000000001';
export const OPERATION_ID = '01900000-0000-7000-8000-00000000000f';
export const idOf = (letter: string): string =>
  `01900000-0000-7000-8000-0000000000${letter.charCodeAt(0).toString(16)}`;

export const vm = (more: object = {}): object => ({
  id: VM_ID,
  name: 'web1',
  host: 'host-a',
  monitor: '/run/vm/web1.sock',
  guestAgent: null,
  labels: {},
  disks: [{ device: 'vda', node: '#block1', format: 'qcow2', file: '/images/a.qcow2', default: 'internal' }],
  current: { snapshotId: idOf('a'), confidence: 'known' },
  operationId: null,
  conditions: [],
  ...more,
});

export const snapshot = (name: string, more: Partial<SnapshotView> = {}): SnapshotView => ({
  id: idOf(name.charAt(0)),
  vmId: VM_ID,
  name,
  description: '',
  parentId: null,
  createdAt: '2026-11-21T11:30:00.000Z',
  status: 'complete',
  vmState: 'running',
  memory: { mode: 'none' },
  disks: [{ device: 'vda', mode: 'internal' }],
  consistency: 'crash',
  implicit: false,
  protected: false,
  labels: {},
  current: false,
  ...more,
});

export const operation = (more: object = {}): object => ({
  id: OPERATION_ID,
  kind: 'create',
  vmId: VM_ID,
  snapshotId: idOf('a'),
  done: false,
  outcome: null,
  phase: 'requested',
  percent: null,
  steps: [],
  leftovers: [],
  message: '',
  ...more,
});

export const succeeded = (more: object = {}): object =>
  operation({ done: true, outcome: 'succeeded', phase: 'done', percent: 100, ...more });

export const failed = (outcome: 'failed' | 'needs-operator', more: object = {}): object =>
  operation({
    done: true,
    outcome,
    phase: 'ended',
    error: { reason: 'refused-by-qemu', message: 'Device vdb is raw', retryable: false },
    ...more,
  });

/** Where the VM and its snapshots are looked up by name. */
export const lookups: Readonly<Record<string, Route>> = {
  'GET /v1/vms': ({ query }) => ({
    body: { vms: query['name'] === undefined || query['name'] === 'web1' ? [vm()] : [], totalSize: 1 },
  }),
  [`GET /v1/vms/${VM_ID}`]: { body: vm(), headers: { etag: '"7"' } },
  [`GET /v1/vms/${VM_ID}/snapshots`]: ({ query }) => ({
    body: {
      snapshots: [snapshot('a', { current: true }), snapshot('b', { parentId: idOf('a') })].filter(
        ({ name }) => query['name'] === undefined || query['name'] === name,
      ),
      totalSize: 2,
    },
  }),
};

import type { DaemonProcess, OperationAnswer } from '../crash/daemon-process.ts';
import { type Subject, take } from '../crash/machine.ts';

/** A request in whose middle somebody dies. */
export interface ChaosKind {
  readonly name: string;
  readonly disksCount: number;
  /** What is captured before, for the request to work on; absent: nothing. */
  readonly before?: object;
  readonly method: 'POST' | 'DELETE';
  path(before: string): string;
  readonly body?: object;
  /** What the disks hold when it has ended well: what they held before, or what the snapshot holds. */
  readonly leaves: 'present' | 'snapshot';
}

const disks = (mode: 'internal' | 'external', count: number): object => ({
  disks: Array.from({ length: count }, (_, n) => ({ device: `dev-d${n}`, mode, snapshot: mode })).map(
    ({ device, snapshot }) => ({ device, snapshot }),
  ),
});

const INTERNAL = { diskOnly: true };
const EXTERNAL = { diskOnly: true, ...disks('external', 2) };
const MEMORY = { memory: 'internal' };

const create = (name: string, body: object, disksCount = 2): ChaosKind => ({
  ...{ name, disksCount, method: 'POST', path: () => '/snapshots', body, leaves: 'present' },
});
const load = (name: string, before: object, body: object = { safety: 'none' }): ChaosKind => ({
  ...{ name, disksCount: 2, before, method: 'POST', body, leaves: 'snapshot' },
  path: (id) => `/snapshots/${id}/load`,
});
const merge = (name: string, before: object): ChaosKind => ({
  ...{ name, disksCount: 2, before, method: 'DELETE', leaves: 'present' },
  path: (id) => `/snapshots/${id}?strategy=merge`,
});

export const KINDS: readonly ChaosKind[] = [
  create('create inside, 2 disks', INTERNAL),
  create('create inside, 4 disks', INTERNAL, 4),
  create('create outside', EXTERNAL),
  create('create with memory', MEMORY),
  create('create outside, 4 disks', { diskOnly: true, ...disks('external', 4) }, 4),
  create('create outside, memory in a file', { memory: 'external', ...disks('external', 2) }),
  load('load of memory', MEMORY),
  load('load of disks inside', INTERNAL),
  load('load of disks outside', EXTERNAL),
  load('load of memory, the present saved', MEMORY, { safety: 'disks' }),
  merge('merge inside', INTERNAL),
  merge('merge of memory', MEMORY),
  merge('merge outside', EXTERNAL),
];

/** What the request of this kind works on. */
export const prepare = async (kind: ChaosKind, subject: Subject, daemon: DaemonProcess): Promise<string> =>
  kind.before ? take(subject, daemon, `before-${Date.now()}`, kind.before) : '';

/** Asks, and minds no loss of the answer. */
export const ask = (
  kind: ChaosKind,
  { vmId }: Subject,
  daemon: DaemonProcess,
  before: string,
): Promise<void> => daemon.try(kind.method, `/vms/${vmId}${kind.path(before)}`, kind.body);

/** How the newest operation on the VM ended: `create succeeded`, `load failed: machine-gone`, `load needs-operator: …`. */
export const endIn = ({ outcome, error }: Pick<OperationAnswer, 'outcome' | 'error'>): string =>
  error ? `${outcome}: ${error.reason}` : `${outcome}`;

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

const INTERNAL = { diskOnly: true };
const MEMORY = { memory: 'internal' };

const outside = (disksCount: number): object => ({
  disks: Array.from({ length: disksCount }, (_, n) => ({ device: `dev-d${n}`, snapshot: 'external' })),
});

/** Every request, of a machine of so many disks. */
function kindsOf(disksCount: number): ChaosKind[] {
  const external = { diskOnly: true, ...outside(disksCount) };
  const named = (name: string) => ({ disksCount, name: `${name}, ${disksCount} disks` });
  const create = (name: string, body: object): ChaosKind => ({
    ...{ ...named(name), method: 'POST', path: () => '/snapshots', body, leaves: 'present' },
  });
  const load = (name: string, before: object, body: object = { safety: 'none' }): ChaosKind => ({
    ...{ ...named(name), before, method: 'POST', body, leaves: 'snapshot' },
    path: (id) => `/snapshots/${id}/load`,
  });
  const merge = (name: string, before: object): ChaosKind => ({
    ...{ ...named(name), before, method: 'DELETE', leaves: 'present' },
    path: (id) => `/snapshots/${id}?strategy=merge`,
  });
  return [
    create('create inside', INTERNAL),
    create('create outside', external),
    create('create with memory', MEMORY),
    create('create outside, memory in a file', { memory: 'external', ...outside(disksCount) }),
    load('load of memory', MEMORY),
    load('load of disks inside', INTERNAL),
    load('load of disks outside', external),
    load('load of memory, the present saved', MEMORY, { safety: 'disks' }),
    merge('merge inside', INTERNAL),
    merge('merge of memory', MEMORY),
    merge('merge outside', external),
  ];
}

/** Every request on two disks and on four. */
export const ALL_KINDS: readonly ChaosKind[] = [2, 4].flatMap(kindsOf);

const AS_WIDE_AS_CAN_BE = ['create inside, 4 disks', 'create outside, 4 disks'];

/** Every request once, and those again in which the number of disks matters most. */
export const KINDS: readonly ChaosKind[] = ALL_KINDS.filter(
  ({ name, disksCount }) => disksCount === 2 || AS_WIDE_AS_CAN_BE.includes(name),
);

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

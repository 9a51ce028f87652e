import { dismiss, img, info, kill, opts, say, start, take, transaction } from './words.ts';
import type { Message, Script, Step } from './step.ts';

const abort: Message = { type: 'abort', data: {} };
const both = (name: string): Step => transaction(take('da', name), take('db', name));
const remove = (args: Message): Step => say('blockdev-snapshot-delete-internal-sync', args);
const job = (command: string, id: string, args: Message): Step[] => [
  say(command, { 'job-id': id, ...args }),
  say('query-jobs'),
  say('query-status'),
];
const DISKS = { devices: ['da', 'db'] };
const look: readonly Step[] = [say('query-block'), img('info', '-U', '--output=json', 'DA'), info('DB')];

export const SCRIPTS: Readonly<Record<string, Script>> = {
  'what it says of itself and of nonsense': {
    steps: [
      say('qmp_capabilities'),
      say('query-status'),
      say('query-status', { x: 1 }),
      say('nonsense'),
      say('query-block'),
      say('query-named-block-nodes', { flat: true }),
      say('query-jobs'),
      say('query-block-jobs'),
      say('query-migrate'),
      { say: { execute: 'query-status', id: { any: ['thing'] } } },
      { say: { execute: 'query-status', foo: 1 } },
      { say: '[1]' },
      { say: '{bad}' },
      { say: '{"execute":"query-status"  ,"id":"no newline"} ' },
      say('cont'),
      say('cont'),
      say('query-status'),
      say('stop'),
      say('stop'),
      say('query-status'),
    ],
  },
  'internal snapshots in a transaction, and what refuses one': {
    steps: [
      both('s1'),
      both('s1'),
      transaction(take('da', 's2'), take('dc', 's2')),
      transaction(take('da', 's2'), take('nope', 's2')),
      transaction(take('da', 's2'), take('db_f', 's2')),
      transaction(take('da', 's2'), take('da', 's2')),
      transaction(take('da', 's2'), take('da', 's3')),
      transaction(take('da', '')),
      transaction(take('da', 's4'), take('db', 's4'), abort),
      transaction(abort),
      transaction(),
      transaction({ type: 'foo', data: {} }),
      transaction({ type: 'blockdev-snapshot-internal-sync', data: { device: 'da' } }),
      transaction({ ...take('da', 's5'), data: { device: 'da', name: 's5', id: '7' } }),
      say('blockdev-snapshot-internal-sync', { device: 'db', name: 'solo' }),
      ...look,
      remove({ device: 'da', name: 's1' }),
      remove({ device: 'da', name: 's1' }),
      remove({ device: 'da' }),
      remove({ device: 'da', id: '2' }),
      remove({ device: 'da', id: '3', name: 's2' }),
      remove({ device: 'dc', name: 's1' }),
      remove({ device: 'nope', name: 's1' }),
      ...look,
    ],
  },
  'saving, loading and deleting with memory': {
    steps: [
      say('cont'),
      ...job('snapshot-save', 'j1', { tag: 't1', vmstate: 'db', ...DISKS }),
      say('snapshot-save', { 'job-id': 'j1', tag: 't2', vmstate: 'db', ...DISKS }),
      dismiss('j1'),
      dismiss('j1'),
      ...job('snapshot-save', 'j2', { tag: 't1', vmstate: 'db', ...DISKS }),
      say('snapshot-save', { 'job-id': '1j', tag: 't2', vmstate: 'db', ...DISKS }),
      say('snapshot-save', { tag: 't2', vmstate: 'db', ...DISKS }),
      ...job('snapshot-save', 'j3', { tag: 't2', vmstate: 'nope', ...DISKS }),
      ...job('snapshot-save', 'j4', { tag: 't2', vmstate: 'da', devices: ['da', 'nope'] }),
      ...job('snapshot-save', 'j5', { tag: 't2', vmstate: 'da', devices: ['da', 'dc'] }),
      ...job('snapshot-save', 'j6', { tag: 't2', vmstate: 'da', devices: [] }),
      ...look,
      ...job('snapshot-load', 'l1', { tag: 't1', vmstate: 'db', ...DISKS }),
      say('stop'),
      ...job('snapshot-load', 'l2', { tag: 't1', vmstate: 'db', ...DISKS }),
      ...job('snapshot-delete', 'd1', { tag: 't1', ...DISKS }),
      ...job('snapshot-delete', 'd2', { tag: 't1', ...DISKS }),
      ...job('snapshot-delete', 'd3', { tag: 't1', devices: ['da', 'nope'] }),
      ...job('snapshot-delete', 'd4', { tag: 't1', devices: ['da', 'dc'] }),
      ...look,
    ],
  },
  'loads that fail, and how the machine stands afterwards': {
    steps: [
      both('disks'),
      say('cont'),
      ...job('snapshot-save', 'j1', { tag: 'all', vmstate: 'db', ...DISKS }),
      ...job('snapshot-load', 'l1', { tag: 'none', vmstate: 'db', ...DISKS }),
      ...job('snapshot-load', 'l2', { tag: 'all', vmstate: 'db', ...DISKS }),
      say('stop'),
      say('query-status'),
      say('cont'),
      ...job('snapshot-load', 'l3', { tag: 'disks', vmstate: 'db', ...DISKS }),
      say('cont'),
      ...job('snapshot-load', 'l4', { tag: 'all', vmstate: 'da', ...DISKS }),
      say('cont'),
      ...job('snapshot-load', 'l5', { tag: 'all', vmstate: 'db', devices: ['db', 'dc'] }),
      say('cont'),
      say('stop'),
      ...job('snapshot-load', 'l6', { tag: 'none', vmstate: 'db', ...DISKS }),
      ...look,
    ],
  },
  'a tag that stands on one disk only': {
    steps: [
      transaction(take('da', 'half')),
      both('half'),
      ...job('snapshot-load', 'l1', { tag: 'half', vmstate: 'da', ...DISKS }),
      ...job('snapshot-save', 'j1', { tag: 'half', vmstate: 'db', ...DISKS }),
      ...look,
      ...job('snapshot-delete', 'd1', { tag: 'half', ...DISKS }),
      ...look,
    ],
  },
  'qemu-img beside a machine and after its death': {
    steps: [
      both('on'),
      img('info', '--output=json', 'DA'),
      info('DA'),
      img('info', '--image-opts', '--output=json', '-U', opts('DA')),
      img('info', '--image-opts', '--output=json', opts('DA')),
      img('snapshot', '-c', 'x', 'DA'),
      img('snapshot', '-a', 'on', 'DA'),
      img('snapshot', '-d', 'on', 'DA'),
      img('snapshot', '-U', '-a', 'on', 'DA'),
      img('check', 'DA'),
      img('check', '-r', 'all', 'DA'),
      kill,
      img('snapshot', '-f', 'qcow2', '-c', 'x', 'DA'),
      img('snapshot', '-c', 'x', 'DA'),
      img('snapshot', '--image-opts', '-q', '-c', 'x', opts('DA')),
      img('info', '--image-opts', '--output=json', opts('DA')),
      img('snapshot', '-a', 'x', 'DA'),
      img('snapshot', '-a', 'nope', 'DA'),
      img('snapshot', '-d', 'x', 'DA'),
      img('snapshot', '-d', 'x', 'DA'),
      img('snapshot', '-d', 'x', 'DA'),
      img('check', '-q', '-f', 'qcow2', 'DA'),
      img('check', '-q', '-r', 'all', '--image-opts', opts('DA')),
      img('snapshot', '-c', '1', 'DA'),
      info('DA'),
      img('info', '--output=json', 'NOPE'),
      img('snapshot', '-q', '--image-opts', '-c', 'x', opts('NOPE')),
      start,
      say('query-status'),
      ...look,
      img('snapshot', '-c', 'x', 'DB'),
    ],
  },
  'one client at a time': {
    steps: [
      say('stop'),
      { secondComes: true },
      say('query-status'),
      say('cont'),
      { firstLeaves: true },
      say('query-status'),
      say('qmp_capabilities'),
      say('query-status'),
      say('stop'),
    ],
  },
  'a roll-back that fails: the tag is hidden, not gone': {
    trouble: { fault: 'rollback-failed', blkdebug: thirdAllocationFails() },
    steps: [
      transaction(take('da', 's'), take('db', 's'), abort),
      ...look,
      remove({ device: 'db', name: 's' }),
      ...job('snapshot-delete', 'd1', { tag: 's', ...DISKS }),
      info('DB'),
      kill,
      info('DB'),
    ],
  },
  'a delete that fails: hidden as well, until the table is written again': {
    trouble: { fault: 'delete-io-error', blkdebug: thirdAllocationFails() },
    steps: [
      transaction(take('db', 's')),
      remove({ device: 'db', name: 's' }),
      ...look,
      remove({ device: 'db', name: 's' }),
      ...job('snapshot-delete', 'd1', { tag: 's', ...DISKS }),
      info('DB'),
      transaction(take('db', 't')),
      ...look,
    ],
  },
  'a load that fails on the second disk': {
    trouble: {
      fault: 'load-io-error',
      occasion: 2,
      blkdebug: ['event=l2_load', 'errno=5', 'once=off', 'immediately=off'].map(
        (option) => `inject-error.0.${option}`,
      ),
    },
    steps: [
      ...job('snapshot-save', 'j1', { tag: 'all', vmstate: 'db', ...DISKS }),
      kill, // Afterwards the tables must be read again.
      start,
      ...job('snapshot-load', 'l1', { tag: 'all', vmstate: 'db', ...DISKS }),
      say('cont'),
      say('query-status'),
    ],
  },
  'a delete job that fails': {
    trouble: { fault: 'delete-io-error', blkdebug: thirdAllocationFails() },
    steps: [transaction(take('db', 's')), ...job('snapshot-delete', 'd1', { tag: 's', ...DISKS }), ...look],
  },
};

/** Creating takes two allocations (the copied table, the list of snapshots); the third is the first of a delete. */
function thirdAllocationFails(): string[] {
  const inject = ['event=cluster_alloc', 'state=3', 'errno=5', 'once=on', 'immediately=off'];
  return [
    ...countAllocation(0),
    ...countAllocation(1),
    ...inject.map((option) => `inject-error.0.${option}`),
  ];
}

function countAllocation(n: number): string[] {
  const options = ['event=cluster_alloc', `state=${n + 1}`, `new_state=${n + 2}`];
  return options.map((option) => `set-state.${n}.${option}`);
}

import type { Script, Step } from './step.ts';
import { dismiss, img, info, kill, opts, say, start, take, transaction } from './words.ts';

/* Scripts about images that stand on others. X1 to X4 are files that are not there at first. */

const overlayOn = (base: string, file: string): Step =>
  img('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', file, '16777216');
const open = (node: string, filename: string, more: object = { backing: null }): Step =>
  say('blockdev-add', { driver: 'qcow2', 'node-name': node, file: { driver: 'file', filename }, ...more });
const close = (node: string): Step => say('blockdev-del', { 'node-name': node });
const put = (node: string, overlay: string): { type: string; data: object } => ({
  type: 'blockdev-snapshot',
  data: { node, overlay },
});
const drive = (value: string, device = 'dev-da'): Step =>
  say('qom-set', { path: `/machine/peripheral/${device}/virtio-backend`, property: 'drive', value });
const write = (block: number, value: number): Step => ({ write: { block, value } });
const read = (file: string): Step => ({ read: file });
const tops: readonly Step[] = [say('query-block'), say('query-named-block-nodes', { flat: true })];
const JOB = { 'auto-finalize': false, 'auto-dismiss': false };

/** da is written, X1 lies on it and is written, X2 lies on that. */
const threeLayers: readonly Step[] = [
  write(0, 1),
  overlayOn('DA', 'X1'),
  open('n1', 'X1'),
  transaction(put('da', 'n1')),
  write(1, 2),
  overlayOn('X1', 'X2'),
  open('n2', 'X2'),
  transaction(put('n1', 'n2')),
  write(2, 3),
];

/** A copy of the first disk into an image that is open under the job's own name. */
const copied = (id: string): Step => ({
  ...transaction({
    type: 'blockdev-backup',
    data: { 'job-id': id, device: 'da', target: id, sync: 'full', ...JOB },
  }),
  until: 'pending',
});

const ending = (id: string, verb: 'job-finalize' | 'job-complete' | 'job-cancel'): Step[] => [
  { ...say(verb, { id }), until: 'concluded' },
  say('query-jobs'),
  dismiss(id),
];

export const LAYER_SCRIPTS: Readonly<Record<string, Script>> = {
  'overlays that go on top of disks, and what refuses one': {
    steps: [
      overlayOn('DA', 'X1'),
      overlayOn('DB', 'X2'),
      info('X1'),
      open('n1', 'X1'),
      open('n1', 'X2'),
      open('1n', 'X2'),
      open('n3', 'NOPE'),
      open('n3', 'X2', {}),
      transaction(put('da', 'nope')),
      transaction(put('nope', 'n1')),
      open('n2', 'X2'),
      transaction(put('da', 'n1'), put('db', 'nope')),
      say('query-block'),
      transaction(put('da', 'n1'), take('db', 'sl-a')),
      transaction(put('db', 'n1')),
      transaction(put('da', 'n2')),
      transaction(take('da', 'sl-b')),
      ...tops,
      write(0, 7),
      read('DA'),
      read('X1'),
      close('n1'),
      close('da'),
      close('n2'),
      close('n2'),
      img('info', '--output=json', 'DA'),
      img('snapshot', '-c', 'x', 'DA'),
      img('info', '--output=json', 'X1'),
      kill,
      img('info', '--image-opts', '--output=json', opts('X1')),
      read('X1'),
    ],
  },
  'copying layers up': {
    steps: [
      ...threeLayers,
      say('block-stream', { 'job-id': 's0', device: 'n1', 'base-node': 'n2', ...JOB }),
      say('block-stream', { 'job-id': 's0', device: 'n2', 'base-node': 'zz', ...JOB }),
      {
        ...say('block-stream', {
          'job-id': 's1',
          device: 'n2',
          'base-node': 'da',
          'backing-file': 'DA',
          ...JOB,
        }),
        until: 'pending',
      },
      say('query-jobs'),
      transaction(take('n2', 'x')),
      close('n1'),
      say('stop'),
      ...ending('s1', 'job-finalize'),
      ...tops,
      close('n1'),
      info('X2'),
      read('X2'),
      read('X1'),
      read('DA'),
      { ...say('block-stream', { 'job-id': 's2', device: 'n2', ...JOB }), until: 'pending' },
      ...ending('s2', 'job-cancel'),
      ...(['job-cancel', 'job-finalize'] as const).flatMap((verb): Step[] => [
        {
          ...say('block-stream', { 'job-id': 's3', device: 'n2', ...JOB, 'auto-dismiss': true }),
          until: 'pending',
        },
        { ...say(verb, { id: 's3' }), until: 'null' },
        say('query-jobs'),
        say('query-named-block-nodes', { flat: true }),
      ]),
      info('X2'),
    ],
  },
  'copying what the guest writes down': {
    steps: [
      ...threeLayers,
      {
        ...say('block-commit', { 'job-id': 'c1', device: 'n2', 'base-node': 'n1', 'auto-dismiss': false }),
        until: 'ready',
      },
      say('query-jobs'),
      say('stop'),
      ...ending('c1', 'job-complete'),
      ...tops,
      read('X1'),
      close('n2'),
      say('cont'),
      write(2, 9),
      read('X1'),
      say('block-commit', { 'job-id': 'c2', device: 'nope', 'base-node': 'da', 'auto-dismiss': false }),
    ],
  },
  'copying layers down below what the guest writes': {
    steps: [
      ...threeLayers,
      {
        ...say('block-commit', {
          ...{ 'job-id': 'c1', device: 'n2', 'top-node': 'n1', 'base-node': 'da', 'backing-file': 'DA' },
          ...JOB,
        }),
        until: 'pending',
      },
      say('stop'),
      ...ending('c1', 'job-finalize'),
      say('query-block'),
      info('X2'),
      close('n1'),
      read('X2'),
      read('DA'),
    ],
  },
  'an image that is closed under a machine that stands': {
    steps: [
      write(0, 1),
      transaction(take('da', 'sl-a')),
      write(0, 2),
      say('stop'),
      say('blockdev-add', { driver: 'null-co', 'node-name': 'ph', size: 16_777_216, 'read-zeroes': true }),
      drive('zz'),
      drive('ph'),
      say('query-block'),
      close('da'),
      close('da_f'),
      img('snapshot', '-q', '-a', 'sl-a', 'DA'),
      open('da', 'DA', {}),
      drive('da'),
      close('ph'),
      say('system_reset'),
      say('query-status'),
      read('DA'),
      say('cont'),
      say('query-block'),
    ],
  },
  'memory in a file of its own': {
    steps: [
      img('create', '-q', '-f', 'qcow2', 'X1', '1048576'),
      open('mem', 'X1'),
      say('stop'),
      say('snapshot-save', { 'job-id': 'j1', tag: 'sl-a', vmstate: 'mem', devices: ['mem'] }),
      say('query-jobs'),
      dismiss('j1'),
      close('mem'),
      say('cont'),
      info('X1'),
      info('DA'),
      say('stop'),
      open('mem', 'X1'),
      say('snapshot-load', { 'job-id': 'j2', tag: 'sl-a', vmstate: 'mem', devices: ['mem'] }),
      say('query-jobs'),
      dismiss('j2'),
      say('query-status'),
      close('mem'),
    ],
  },
  'copies of disks': {
    steps: [
      write(0, 1),
      write(1, 2),
      img('create', '-q', '-f', 'qcow2', 'X1', '16777216'),
      open('b1', 'X1'),
      copied('b1'),
      say('query-jobs'),
      ...ending('b1', 'job-finalize'),
      close('b1'),
      read('X1'),
      img('create', '-q', '-f', 'qcow2', 'X3', '16777216'),
      open('b3', 'X3'),
      copied('b3'),
      ...ending('b3', 'job-cancel'),
      close('b3'),
      overlayOn('DA', 'X2'),
      open('b2', 'X2'),
      transaction({
        type: 'blockdev-backup',
        data: { 'job-id': 'b2', device: 'da', target: 'b2', sync: 'none', 'auto-dismiss': false },
      }),
      write(0, 5),
      transaction(take('da', 'sl-a')),
      ...ending('b2', 'job-cancel'),
      close('b2'),
      read('X2'),
    ],
  },
  'qemu-img on layers': {
    steps: [
      write(0, 1),
      kill,
      overlayOn('DA', 'X1'),
      overlayOn('X1', 'X2'),
      img('map', '--output=json', '-U', '--image-opts', opts('X2')),
      img('map', '--output=json', '-U', alone('X2')),
      img('map', '--output=json', '-U', alone('DA')),
      img('compare', '-q', '-U', '-f', 'qcow2', '-F', 'qcow2', 'X2', 'DA'),
      img('rebase', '-q', '-t', 'writethrough', '-f', 'qcow2', '-b', '', 'X2'),
      info('X2'),
      read('X2'),
      img('rebase', '-q', '-u', '-f', 'qcow2', '-b', 'X1', '-F', 'qcow2', 'X2'),
      info('X2'),
      img('commit', '-q', '-d', '-f', 'qcow2', '-b', 'DA', 'X2'),
      read('DA'),
      img('create', '-q', '-f', 'qcow2', 'X3', '16777216'),
      img('convert', '-q', '-n', '-t', 'writeback', '-f', 'qcow2', '-O', 'qcow2', 'X2', 'X3'),
      read('X3'),
      img('compare', '-q', '-U', '-f', 'qcow2', '-F', 'qcow2', 'X2', 'X3'),
      start,
      img('commit', '-q', '-d', '-f', 'qcow2', '-b', 'DA', 'X1'),
      img('rebase', '-q', '-t', 'writethrough', '-f', 'qcow2', '-b', '', 'X1'),
      img('create', '-q', '-f', 'qcow2', 'DA', '16777216'),
      img('snapshot', '-q', '-d', 'sl-nobody', alone('DA')),
      img('snapshot', '-q', '-d', 'sl-nobody', alone('X2')),
    ],
  },
};

function alone(filename: string): string {
  return `json:${JSON.stringify({ driver: 'qcow2', backing: null, file: { driver: 'file', filename } })}`;
}

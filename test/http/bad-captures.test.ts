import { expect, test } from 'vitest';
import { type Answer, type Ledgerd, ledgerd, NOBODY, snapshotOn, vmOn } from './ledgerd.ts';

/* What a body may say of disks, files, memory and copies: everything else is refused before anything is recorded. */

const disk = (more: object = {}) => ({ device: 'vda', snapshot: 'external', ...more });
const copy = (more: object = {}) => ({ device: 'vda', target: '/m/copy.qcow2', ...more });

const LONG = `/m/${'x'.repeat(4_096)}`;
const NOT_A_WORD: readonly unknown[] = [
  null,
  1,
  true,
  [],
  {},
  '',
  'Internal',
  'external ',
  ['none'],
  'toString',
];
const NOT_A_TEXT: readonly unknown[] = [null, 1, true, [], {}, ['/m/x']];
const NOT_A_LIST: readonly unknown[] = [null, 1, 'vda', {}, ['vda'], [null], [[]], [1], { 0: disk() }];

/** Members and values that no schema knows: 400, whoever asks. */
const SHAPES: readonly (readonly [string, object])[] = [
  ['an unknown member', { surprise: 1 }],
  ['a member of an object’s own', { constructor: {} }],
  ['an unknown member of a disk', { disks: [disk({ filename: '/m/x' })] }],
  ['an unknown member of a copy', { backups: [copy({ speed: 1 })] }],
  ['QEMU’s name of a member', { 'snapshot-file': '/m/x' }],
  ['a disk without a device', { disks: [{ snapshot: 'none' }] }],
  ['a copy without a device', { backups: [{ target: '/m/x' }] }],
  ['a copy without a target', { backups: [{ device: 'vda' }] }],
  ['10,000 disks', { disks: Array.from({ length: 10_000 }, (_, n) => disk({ device: `d${n}` })) }],
  ['10,000 copies', { backups: Array.from({ length: 10_000 }, (_, n) => copy({ device: `d${n}` })) }],
  ['65 disks', { disks: Array.from({ length: 65 }, (_, n) => disk({ device: `d${n}` })) }],
  ['a file too long', { disks: [disk({ file: LONG })] }],
  ['a target too long', { backups: [copy({ target: LONG })] }],
  ['a file for memory too long', { memory: 'external', memoryFile: LONG }],
  ['a device too long', { disks: [disk({ device: 'x'.repeat(5_000) })] }],
  ['a format too long', { disks: [disk({ format: 'x'.repeat(33) })] }],
  ['an empty file', { disks: [disk({ file: '' })] }],
  ['a zero byte in a file', { disks: [disk({ file: '/m/x\0y' })] }],
  ['a line break in a target', { backups: [copy({ target: '/m/x\ny' })] }],
  ...NOT_A_LIST.flatMap((value): [string, object][] => [
    ['disks that are no list of objects', { disks: value }],
    ['copies that are no list of objects', { backups: value }],
  ]),
  ...NOT_A_WORD.flatMap((value): [string, object][] => [
    ['a capture', { disks: [{ device: 'vda', snapshot: value }] }],
    ['a mode', { disks: [disk({ file: '/m/x', mode: value })] }],
    ['a copy’s mode', { backups: [copy({ mode: value })] }],
    ['a copy’s sync', { backups: [copy({ sync: value })] }],
    ['memory', { memory: value }],
    ['a format of memory', { memory: 'external', memoryFormat: value }],
    ['quiesce', { quiesce: value }],
  ]),
  ...NOT_A_TEXT.flatMap((value): [string, object][] => [
    ['a file', { disks: [disk({ file: value })] }],
    ['a format', { disks: [disk({ format: value })] }],
    ['a device', { disks: [disk({ device: value })] }],
    ['a target', { backups: [copy({ target: value })] }],
    ['a file for memory', { memory: 'external', memoryFile: value }],
  ]),
  ...[null, 0, 1, 'true', [], {}].map((value): [string, object] => ['disk-only', { diskOnly: value }]),
];

/** Wrong in any power state, so that no machine is bothered: 422. */
const MEANINGS: readonly (readonly [string, object, string])[] = [
  ...[
    'x',
    './x',
    '/m/../x',
    '/m/./x',
    '/m//x',
    '/m/x/',
    '/',
    'nbd:host:1',
    'json:{}',
    'exec:cat',
    'fd:3',
  ].flatMap((path): [string, object, string][] => [
    [`the file ${path}`, { disks: [disk({ file: path })] }, 'path-not-allowed'],
    [`the target ${path}`, { backups: [copy({ target: path })] }, 'path-not-allowed'],
    [`the memory in ${path}`, { memory: 'external', memoryFile: path }, 'path-not-allowed'],
  ]),
  ...['raw', 'vmdk', 'luks', 'QCOW2', 'qcow2,file.driver=nbd', 'host_device'].map(
    (format): [string, object, string] => [
      `an overlay of ${format}`,
      { disks: [disk({ format })] },
      'disk-unsupported',
    ],
  ),
  ['the machine’s own image', { disks: [disk({ file: '/m/web1.sock.vda.qcow2' })] }, 'path-not-allowed'],
  [
    'a copy into its own image',
    { backups: [copy({ target: '/m/web1.sock.vdb.qcow2' })] },
    'path-not-allowed',
  ],
  ['memory into an image', { memory: 'external', memoryFile: '/m/web1.sock.vda.qcow2' }, 'path-not-allowed'],
  ['a disk that is not there', { disks: [disk({ device: 'vdz' })] }, 'disk-unsupported'],
  ['a copy of what is not there', { backups: [copy({ device: 'vdz' })] }, 'disk-unsupported'],
  ['one disk twice', { disks: [disk(), disk()] }, 'invalid-combination'],
  ['one copy twice', { backups: [copy(), copy({ target: '/m/y' })] }, 'invalid-combination'],
  [
    'one file for two',
    { disks: [disk({ file: '/m/x' })], memory: 'external', memoryFile: '/m/x' },
    'invalid-combination',
  ],
  [
    'one file for a copy and an overlay',
    { disks: [disk({ file: '/m/copy.qcow2' })], backups: [copy()] },
    'invalid-combination',
  ],
  ['an existing overlay without a name', { disks: [disk({ mode: 'existing' })] }, 'invalid-combination'],
  ['a file inside', { disks: [disk({ snapshot: 'internal', file: '/m/x' })] }, 'invalid-combination'],
  ['a mode for none', { disks: [disk({ snapshot: 'none', mode: 'absolute-paths' })] }, 'invalid-combination'],
  ['memory and disk-only', { diskOnly: true, memory: 'external' }, 'invalid-combination'],
  ['a file for no memory', { diskOnly: true, memoryFile: '/m/x' }, 'invalid-combination'],
  ['a stream inside', { memory: 'internal', memoryFormat: 'stream' }, 'invalid-combination'],
  [
    'nothing at all',
    { memory: 'none', disks: [disk({ snapshot: 'none' }), disk({ device: 'vdb', snapshot: 'none' })] },
    'invalid-combination',
  ],
  ['a freeze without an agent', { quiesce: 'require', diskOnly: true }, 'no-guest-agent'],
];

/** The answer in short, and nothing in the log, in the list or under way. */
async function expectRefused(
  daemon: Ledgerd,
  vmId: string,
  asked: readonly (readonly [string, () => Promise<Answer>, number, string])[],
): Promise<void> {
  const before = await everything(daemon, vmId);
  for (const [what, ask, status, reason] of asked) {
    const answer = await ask();
    const said = `${answer.status} ${answer.body.reason} ${answer.body['type']}`;
    expect(said, `${what}: ${answer.text.slice(0, 500)}`).toMatch(new RegExp(`^${status} ${reason} .*`));
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.text.length).toBeLessThan(16 * 1024);
  }
  expect(await everything(daemon, vmId)).toEqual(before);
}

const everything = async ({ ask }: Ledgerd, vmId: string): Promise<string[]> =>
  Promise.all(
    ['/v1/events', `/v1/vms/${vmId}`, `/v1/vms/${vmId}/snapshots`, '/v1/operations'].map(
      async (path) => (await ask('GET', path)).text,
    ),
  );

test('a capture of no shape is refused with 400, and nothing is recorded', { timeout: 120_000 }, async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  await expectRefused(
    daemon,
    vmId,
    SHAPES.map(([what, body]) => [
      `${what} ${JSON.stringify(body).slice(0, 100)}`,
      () => daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, body),
      400,
      'invalid-body',
    ]),
  );
});

test('a capture that makes no sense is refused with 422 and a closed reason, and nothing is recorded', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  await expectRefused(
    daemon,
    vmId,
    MEANINGS.map(([what, body, reason]) => [
      `${what} ${JSON.stringify(body).slice(0, 100)}`,
      () => daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, body),
      422,
      reason,
    ]),
  );
});

test('the same is said of it when it is only asked what would happen', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/snapshots?validateOnly=true`;
  await expectRefused(daemon, vmId, [
    ...SHAPES.slice(0, 20).map(
      ([what, body]) => [what, () => daemon.ask('POST', at, body), 400, 'invalid-body'] as const,
    ),
    ...MEANINGS.map(
      ([what, body, reason]) => [what, () => daemon.ask('POST', at, body), 422, reason] as const,
    ),
  ]);
});

test('a load or a delete of no shape is refused, and nothing is recorded', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const id = await snapshotOn(daemon, vmId, 'a');
  const at = `/v1/vms/${vmId}/snapshots`;
  const load = (body: unknown, status: number, reason: string) =>
    [
      `load ${JSON.stringify(body)}`,
      () => daemon.ask('POST', `${at}/${id}/load`, body),
      status,
      reason,
    ] as const;
  const remove = (query: string, reason = 'invalid-query', status = 400) =>
    [`delete ${query}`, () => daemon.ask('DELETE', `${at}/${id}${query}`), status, reason] as const;
  await expectRefused(daemon, vmId, [
    ...NOT_A_WORD.map((value) => load({ safety: value }, 400, 'invalid-body')),
    ...NOT_A_WORD.map((value) => load(`{"then":${JSON.stringify(value)}}`, 400, 'invalid-body')),
    ...[null, 0, 'true', [], {}].map((value) => load({ disksOnly: value }, 400, 'invalid-body')),
    ...NOT_A_TEXT.map((value) => load({ planHash: value }, 400, 'invalid-body')),
    load({ planHash: 'x'.repeat(129) }, 400, 'invalid-body'),
    load({ device: 'vda' }, 400, 'invalid-body'),
    load([], 400, 'invalid-body'),
    load('"load"', 400, 'invalid-body'),
    remove('?strategy='),
    remove('?strategy=Merge'),
    remove('?strategy=merge&strategy=discard'),
    remove('?strategy=merge,discard'),
    remove('?force=true'),
    remove('?validateOnly=yes'),
    ['load of nobody', () => daemon.ask('POST', `${at}/${NOBODY}/load`, {}), 404, 'snapshot-unknown'],
    ['load of no id', () => daemon.ask('POST', `${at}/1/load`, {}), 404, 'snapshot-unknown'],
    [
      'delete of nobody',
      () => daemon.ask('DELETE', `${at}/${NOBODY}?strategy=merge`),
      404,
      'snapshot-unknown',
    ],
    [
      'a body of a delete',
      () => daemon.ask('DELETE', `${at}/${id}?strategy=merge`, { strategy: 'discard' }),
      400,
      'invalid-body',
    ],
  ]);
});

test('a body above the bound, or deeper than the bound, is refused before it is read', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const at = `/v1/vms/${vmId}/snapshots`;
  const large = { description: 'x'.repeat(1024 * 1024) };
  const deep = `${'{"labels":'.repeat(40)}{}${'}'.repeat(40)}`;
  await expectRefused(daemon, vmId, [
    ['a mebibyte', () => daemon.ask('POST', at, large), 413, 'too-large'],
    ['40 levels', () => daemon.ask('POST', at, deep), 400, 'invalid-body'],
    ['half a body', () => daemon.ask('POST', at, '{"disks":[{"device":'), 400, 'invalid-body'],
  ]);
});

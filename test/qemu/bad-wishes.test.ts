/* What cannot be meant is refused in words, on a machine that runs and on one that is off, and nothing is touched. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { v7 } from 'uuid';
import { type House, house } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu } from './rig.ts';
import { refusedOf } from './standing.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const disk = (letter: string, mode: 'none' | 'internal' | 'external') => ({ device: `dev-d${letter}`, mode });
const copy = (home: House, name: string, device = 'dev-da') => ({
  ...{ device, target: join(home.dir, name), format: 'qcow2' },
  ...{ sync: 'full' as const, fileMode: 'absolute-paths' as const },
});

type Row = readonly [string, (home: House) => Wish, string];

/** Wrong whether the machine runs or not. */
const WISHES: readonly Row[] = [
  ['a disk that does not exist', () => ({ disks: [disk('z', 'internal')] }), 'disk-unsupported'],
  ['a device that is no disk', () => ({ disks: [{ device: 'rig', mode: 'none' }] }), 'disk-unsupported'],
  ['a device without a name', () => ({ disks: [{ device: '', mode: 'none' }] }), 'disk-unsupported'],
  ['a node instead of a device', () => ({ disks: [{ device: 'da', mode: 'external' }] }), 'disk-unsupported'],
  [
    'a disk named twice',
    () => ({ disks: [disk('a', 'internal'), disk('a', 'external')] }),
    'invalid-combination',
  ],
  [
    'a disk named twice in the same way',
    () => ({ disks: [disk('a', 'none'), disk('a', 'none')] }),
    'invalid-combination',
  ],
  ['snapshots inside a raw disk', () => ({ disks: [disk('c', 'internal')] }), 'disk-unsupported'],
  ['a raw disk that nobody says anything of', () => ({ disks: [disk('a', 'none')] }), 'disk-unsupported'],
  [
    'neither memory nor a disk',
    () => ({ memory: 'none', disks: ['a', 'b', 'c'].map((letter) => disk(letter, 'none')) }),
    'invalid-combination',
  ],
  [
    'memory and none',
    () => ({ memory: 'internal', diskOnly: true, disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'memory into a file and none',
    () => ({ memory: 'external', diskOnly: true, disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'a file for memory that nobody captures',
    ({ dir }) => ({ memory: 'none', memoryFile: join(dir, 'm'), disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'a file for memory that goes into a disk',
    ({ dir }) => ({ memory: 'internal', memoryFile: join(dir, 'm'), disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'a stream into a disk',
    () => ({ memory: 'internal', memoryFormat: 'stream', disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'a file for a disk that is left out',
    ({ dir }) => ({ disks: [{ ...disk('c', 'none'), file: join(dir, 'f') }] }),
    'invalid-combination',
  ],
  [
    'a file for a snapshot inside a disk',
    ({ dir }) => ({ disks: [{ ...disk('a', 'internal'), file: join(dir, 'f') }, disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'a format for a snapshot inside a disk',
    () => ({ disks: [{ ...disk('a', 'internal'), format: 'qcow2' }, disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'an existing overlay without a name',
    () => ({ disks: [{ ...disk('a', 'external'), fileMode: 'existing' }, disk('c', 'none')] }),
    'invalid-combination',
  ],
  ...['raw', 'vmdk', 'vdi', 'luks', 'QCOW2', 'qcow2,x=y', ''].map((format): Row => [
    `an overlay of format "${format}"`,
    () => ({ disks: [{ ...disk('a', 'external'), format }, disk('c', 'none')] }),
    'disk-unsupported',
  ]),
  [
    'a copy of a disk that does not exist',
    (home) => ({ disks: [disk('c', 'none')], backups: [copy(home, 'x', 'dev-dz')] }),
    'disk-unsupported',
  ],
  [
    'two copies of one disk',
    (home) => ({ disks: [disk('c', 'none')], backups: [copy(home, 'x'), copy(home, 'y')] }),
    'invalid-combination',
  ],
  [
    'two copies into one file',
    (home) => ({ disks: [disk('c', 'none')], backups: [copy(home, 'x'), copy(home, 'x', 'dev-db')] }),
    'invalid-combination',
  ],
  [
    'a frozen guest without an agent',
    () => ({ quiesce: 'require', diskOnly: true, disks: [disk('c', 'none')] }),
    'no-guest-agent',
  ],
];

/** Only a look at the machine can say so. */
const WISHES_WHEN_OFF: readonly Row[] = [
  [
    'memory of a machine that is off',
    () => ({ memory: 'internal', disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
  [
    'memory of a machine that is off, in a file',
    ({ dir }) => ({ memory: 'external', memoryFile: join(dir, 'm'), disks: [disk('c', 'none')] }),
    'invalid-combination',
  ],
];

describe.runIf(needsQemu()).each(['on', 'off'] as const)('a machine that is %s', (power) => {
  let home: House;
  beforeAll(async () => {
    home = await house({ letters: 'abc', raw: 'c' });
    await guestWrite(home.vm, 'da', 0x11);
    if (power === 'off') await home.off();
  });

  test.each(power === 'on' ? WISHES : [...WISHES, ...WISHES_WHEN_OFF])(
    'is never asked for %s',
    async (_, wish, reason) => {
      expect(await refusedOf(home, () => home.book.create(wish(home)))).toBe(reason);
      if (power === 'on') expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
    },
  );

  test('loads and deletes nothing that it does not have', async () => {
    const nobody = v7();
    expect(await refusedOf(home, () => home.book.load(nobody))).toBe('snapshot-unknown');
    for (const strategy of ['merge', 'merge-force', 'discard', 'discard-force'] as const)
      expect(await refusedOf(home, () => home.book.delete(nobody, strategy))).toBe('snapshot-unknown');
  });
});

describe.runIf(needsQemu())('a machine with another set of disks than before', () => {
  test('says which disk a wish names that is gone, and captures nothing', async () => {
    const home = await house({ letters: 'ab' });
    await home.off();
    await home.boot({ disks: home.disks.slice(0, 1) });
    const wish: Wish = { disks: [disk('b', 'external')], diskOnly: true };
    const { end, report } = await home.book.create(wish);
    expect(end).toBe('undone: disk-unsupported');
    expect(JSON.stringify(report)).toContain('dev-db');
    expect(home.book.vm.snapshots.size).toBe(0);
  });

  test('goes on from no snapshot of a disk that is gone', async () => {
    const home = await house({ letters: 'ab' });
    const { snapshotId } = await home.book.create({ diskOnly: true });
    await home.off();
    await home.boot({ disks: home.disks.slice(0, 1) });
    await guestWrite(home.vm, 'da', 0x22);
    expect((await home.book.load(snapshotId)).end).toBe('undone: config-mismatch');
    expect(await guestReadPattern(home.vm, 'da', 0x22)).toBe(true);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });
});

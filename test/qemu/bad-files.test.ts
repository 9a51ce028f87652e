/* May a caller make QEMU write where it should not? Every rule for named files, broken in every way. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tagOf } from '#ledger';
import { v7 } from 'uuid';
import { type House, house } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, makeDirectory, makeDisk, needsQemu } from './rig.ts';
import { refusedOf } from './standing.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const external = (device: string) => ({ device, mode: 'external' as const });
const copy = { device: 'dev-da', format: 'qcow2', sync: 'full' as const };

/** Whatever an operation may be told to make. */
const MAKERS: Readonly<Record<string, (file: string) => Wish>> = {
  overlay: (file) => ({ disks: [{ ...external('dev-da'), file }, external('dev-db')], diskOnly: true }),
  'state file': (memoryFile) => ({ memory: 'external', memoryFile }),
  'stream of memory': (memoryFile) => ({ memory: 'external', memoryFormat: 'stream', memoryFile }),
  'copy of a disk': (target) => ({
    backups: [{ ...copy, target, fileMode: 'absolute-paths' }],
    diskOnly: true,
  }),
};

const elsewhere = makeDirectory();

/** Where nobody may be made to write, and what has to be there for the trick. */
const PLACES: Readonly<Record<string, (home: House) => string>> = {
  'a relative path': () => 'x.qcow2',
  'nothing at all': () => '',
  'a path that climbs': ({ dir }) => `${dir}/deep/../x.qcow2`,
  'a path that stands still': ({ dir }) => `${dir}/./x.qcow2`,
  'a path with a hole': ({ dir }) => `${dir}//x.qcow2`,
  'the name of a directory': ({ dir }) => `${dir}/x/`,
  'a path with a line break': ({ dir }) => `${dir}/x\n.qcow2`,
  'a path with a zero byte': ({ dir }) => `${dir}/x\0.qcow2`,
  'an address for QEMU': () => 'nbd:unix:/tmp/x',
  'options for QEMU': () => 'json:{"driver":"file","filename":"/etc/passwd"}',
  'a program for QEMU': () => 'exec:cat',
  'a file outside the roots': () => join(elsewhere, 'x.qcow2'),
  'a file beside the roots': ({ dir }) => `${dir}-x.qcow2`,
  'the root itself': ({ dir }) => dir,
  'a directory that is a link out': (home) => join(linkTo(home, 'out', elsewhere), 'x.qcow2'),
  'a link to a file outside': (home) => linkTo(home, 'l1.qcow2', makeDisk(join(elsewhere, 'there.qcow2'))),
  'a link to a file outside that is not there': (home) => linkTo(home, 'l2.qcow2', join(elsewhere, 'no')),
  'a link to a file inside that is not there': (home) => linkTo(home, 'l3.qcow2', join(home.dir, 'no')),
  'a link to itself': (home) => linkTo(home, 'loop.qcow2', 'loop.qcow2'),
  'a link to a disk': (home) => linkTo(home, 'l4.qcow2', home.fileOf('b')),
  'a directory that is not there': ({ dir }) => join(dir, 'no', 'x.qcow2'),
  'a file taken for a directory': (home) => join(home.fileOf('b'), 'x.qcow2'),
  'a name too long for any file system': ({ dir }) => join(dir, 'x'.repeat(300)),
  'a path too long for any file system': ({ dir }) => `${dir}${'/x'.repeat(4_000)}`,
  'a name that only the ledger gives': ({ dir }) => join(dir, `${tagOf(v7())}-1.qcow2`),
  'an empty file': ({ dir }) => touched(join(dir, 'empty.qcow2')),
  'a directory': ({ dir }) => made(join(dir, 'directory'), 'mkdir'),
  'a pipe': ({ dir }) => made(join(dir, 'pipe'), 'mkfifo'),
  'a socket': ({ vm }) => vm.monitorPath,
  'its own disk': (home) => home.fileOf('a'),
  'another disk of the machine': (home) => home.fileOf('b'),
};

function linkTo({ dir }: House, name: string, target: string): string {
  symlinkSync(target, join(dir, name));
  return join(dir, name);
}

function touched(file: string): string {
  writeFileSync(file, '');
  return file;
}

function made(path: string, program: 'mkdir' | 'mkfifo'): string {
  execFileSync(program, [path]);
  return path;
}

describe.runIf(needsQemu())('nobody makes', () => {
  let home: House;
  const places = new Map<string, string>();

  beforeAll(async () => {
    home = await house();
    mkdirSync(join(home.dir, 'deep'));
    for (const [name, make] of Object.entries(PLACES)) places.set(name, make(home));
    await guestWrite(home.vm, 'da', 0x11);
  });

  test.each(
    Object.keys(MAKERS).flatMap((what) => Object.keys(PLACES).map((where) => [what, where] as const)),
  )('a %s out of %s', async (what, where) => {
    const wish = MAKERS[what]?.(places.get(where) ?? '') ?? {};
    expect(await refusedOf(home, () => home.book.create(wish))).toBe('path-not-allowed');
    expect(existsSync(join(elsewhere, 'no'))).toBe(false);
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
  });

  test('anything out of a device', async () => {
    const device = join(home.dir, 'device');
    const isMade = madeDevice(device);
    if (!isMade) console.warn('SKIPPED: nobody but root may make a device');
    for (const make of isMade ? Object.values(MAKERS) : [])
      expect(await refusedOf(home, () => home.book.create(make(device)))).toBe('path-not-allowed');
  });

  test.each(['on', 'off'] as const)('one file out of two wishes, while it is %s', async (power) => {
    const other = await house();
    if (power === 'off') await other.off();
    mkdirSync(join(other.dir, 'real'));
    symlinkSync('real', join(other.dir, 'alias'));
    const snapshotId = v7();
    const [real, alias] = [join(other.dir, 'real', 'x.qcow2'), join(other.dir, 'alias', 'x.qcow2')];
    const a = { ...external('dev-da'), file: real };
    const second = join(other.dir, `${tagOf(snapshotId)}-2.qcow2`);
    const copied = { backups: [{ ...copy, target: alias, fileMode: 'absolute-paths' as const }] };
    const twice: Wish[] = [
      { disks: [a, { ...external('dev-db'), file: real }] },
      { disks: [a, { ...external('dev-db'), file: alias }] },
      { disks: [{ ...a, file: second }, external('dev-db')], snapshotId },
      { disks: [a], ...copied },
      ...(power === 'on' ? [{ memory: 'external' as const, memoryFile: real, ...copied }] : []),
    ];
    for (const wish of twice) {
      const end = await refusedOf(other, () => other.book.create(wish));
      expect(end, JSON.stringify(wish)).toMatch(/^(invalid-combination|path-not-allowed)$/);
    }
  });

  test.each(['-1.qcow2', '-memory.qcow2'])(
    'a file of ours over one of an earlier life of the id (%s)',
    async (ending) => {
      const snapshotId = v7();
      writeFileSync(join(home.dir, `${tagOf(snapshotId)}${ending}`), 'all that is left');
      const wish = { snapshotId, memory: 'external' as const, disks: [external('dev-da')] };
      expect(await refusedOf(home, () => home.book.create(wish))).toBe('path-not-allowed');
    },
  );
});

function madeDevice(path: string): boolean {
  try {
    execFileSync('mknod', [path, 'c', '1', '3'], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // Not root, or a container.
  }
}

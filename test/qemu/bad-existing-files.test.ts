/* Which files of the caller's own may an operation go on in? Only what is exactly as it must be, and nobody's. */
import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holdOpen } from './holder.ts';
import { type House, house } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, makeDirectory, makeDisk, needsQemu } from './rig.ts';
import { refusedOf } from './standing.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const external = (device: string) => ({ device, mode: 'external' as const });
const existing = { fileMode: 'existing' as const };

const asOverlay = (file: string): Wish => ({
  disks: [{ ...external('dev-da'), file, ...existing }, external('dev-db')],
  diskOnly: true,
});
const asTarget = (target: string): Wish => ({
  backups: [{ device: 'dev-da', target, format: 'qcow2', sync: 'full', ...existing }],
  diskOnly: true,
});

interface Make {
  readonly below?: string | null;
  readonly format?: string;
  readonly belowFormat?: string;
  readonly size?: string;
}

/** An image beside the disks, on top of the first one unless told otherwise. */
function image(home: House, make: Make = {}): string {
  const { below = home.book.vm.disks[0]?.file, format = 'qcow2', belowFormat = 'qcow2', size = '8M' } = make;
  const file = join(home.dir, `made-${(count += 1)}.img`);
  const base = below === null || below === undefined ? [] : ['-b', below, '-F', belowFormat];
  execFileSync('qemu-img', ['create', '-q', '-u', '-f', format, ...base, file, size]);
  return file;
}
let count = 0;

const elsewhere = makeDirectory();

function linkTo({ dir }: House, target: string): string {
  const path = join(dir, `link-${(count += 1)}`);
  symlinkSync(target, path);
  return path;
}

function withContent(file: string, text: string): string {
  writeFileSync(file, text);
  return file;
}

/** Whatever the wish, nobody may go on in these. */
const NOBODYS: Readonly<Record<string, (home: House) => string>> = {
  'is not there': ({ dir }) => join(dir, 'no.qcow2'),
  'lies in a directory that is not there': ({ dir }) => join(dir, 'no', 'x.qcow2'),
  'is empty': ({ dir }) => withContent(join(dir, 'empty.img'), ''),
  'is a text': ({ dir }) => withContent(join(dir, 'text.img'), 'no image at all\n'.repeat(10_000)),
  'is the head of an image and no more': (home) => cutOff(image(home)),
  'is of another format': (home) => image(home, { format: 'qed' }),
  'is a directory': ({ dir }) => madeBy('mkdir', join(dir, 'directory')),
  'is a pipe': ({ dir }) => madeBy('mkfifo', join(dir, 'pipe')),
  'is a socket': ({ vm }) => vm.monitorPath,
  'is the disk itself': (home) => home.fileOf('a'),
  'is another disk of the machine': (home) => home.fileOf('b'),
  'is another disk of the machine by another name': (home) => linkTo(home, home.fileOf('b')),
  'lies outside the roots': () => makeDisk(join(elsewhere, 'outside.qcow2')),
  'is a link to what lies outside': (home) => linkTo(home, makeDisk(join(elsewhere, 'linked.qcow2'))),
  'is a link to nothing': (home) => linkTo(home, join(home.dir, 'nothing')),
  'is a link to itself': (home) => linkTo(home, `link-${count + 1}`),
  'has a name too long for any file system': ({ dir }) => join(dir, 'x'.repeat(300)),
  'has a path too long for any file system': ({ dir }) => `${dir}${'/x'.repeat(4_000)}`,
  'holds snapshots': (home) => snapshotIn(image(home, { below: null })),
  'is too small': (home) => image(home, { size: '4M', below: null }),
  'is too large': (home) => image(home, { size: '16M', below: null }),
  'stands on another disk': (home) => image(home, { below: home.fileOf('b') }),
  'stands on what is not there': (home) => image(home, { below: join(home.dir, 'not-there') }),
};

/** What is wrong for one of them alone. */
const OVERLAYS: Readonly<Record<string, (home: House) => string>> = {
  'stands on nothing': (home) => image(home, { below: null }),
  'is too small for its disk': (home) => image(home, { size: '4M' }),
  'is too large for its disk': (home) => image(home, { size: '16M' }),
  'holds snapshots and stands where it must': (home) =>
    placed(snapshotIn(image(home, { below: null })), home.fileOf('a')),
  'takes what it stands on for raw': (home) => image(home, { belowFormat: 'raw' }),
  'does not say what the image is that it stands on': (home) => withoutFormat(image(home)),
};
const TARGETS: Readonly<Record<string, (home: House) => string>> = {
  'stands on the disk': (home) => image(home),
};

function cutOff(file: string): string {
  execFileSync('truncate', ['-s', '100', file]);
  return file;
}

function madeBy(program: 'mkdir' | 'mkfifo', path: string): string {
  execFileSync(program, [path]);
  return path;
}

function snapshotIn(file: string): string {
  execFileSync('qemu-img', ['snapshot', '-c', 'somebody', file]);
  return file;
}

function placed(file: string, below: string): string {
  execFileSync('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', below, '-F', 'qcow2', file]);
  return file;
}

/** What the header calls the format of the image below. */
const BACKING_FORMAT = Buffer.from('e2792aca', 'hex');

/** As old tools made them: QEMU guesses. A guest may have written what it takes for the head of a qcow2 image. */
function withoutFormat(file: string): string {
  const bytes = readFileSync(file);
  bytes.write('unkn', bytes.indexOf(BACKING_FORMAT), 'latin1');
  writeFileSync(file, bytes);
  return file;
}

describe.runIf(needsQemu())('nobody goes on in a file that', () => {
  let home: House;
  beforeAll(async () => {
    home = await house();
    await guestWrite(home.vm, 'da', 0x11);
  });

  const cases = [
    ...Object.entries({ ...NOBODYS, ...OVERLAYS }).map(([what, make]) => ['an overlay', what, make] as const),
    ...Object.entries({ ...NOBODYS, ...TARGETS }).map(([what, make]) => ['a target', what, make] as const),
  ];
  const files = new Map<unknown, string>();

  test.each(cases)('as %s %s', async (as, _, make) => {
    const file = files.get(make) ?? make(home);
    files.set(make, file);
    const wish = as === 'an overlay' ? asOverlay(file) : asTarget(file);
    expect(await refusedOf(home, () => home.book.create(wish))).toBe('path-not-allowed');
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
  });

  test.each([asOverlay, asTarget])('another process has open (%o)', async (as) => {
    const file = as === asOverlay ? image(home) : image(home, { below: null });
    const holder = await holdOpen(file, 'to write');
    expect(await refusedOf(home, () => home.book.create(as(file)))).toBe('path-not-allowed');
    await holder.end();
  });

  test('is meant twice', async () => {
    const [a, b] = [home.fileOf('a'), home.fileOf('b')];
    const one = image(home, { below: a });
    linkSync(one, join(home.dir, 'hard'));
    const target = image(home, { below: null });
    const backups = ['dev-da', 'dev-db'].map((device, at) => ({
      ...{ device, format: 'qcow2', sync: 'full' as const, ...existing },
      target: at === 0 ? target : linkTo(home, target),
    }));
    const overlays = [a, b].map((_, at) => ({
      ...{ ...external(at === 0 ? 'dev-da' : 'dev-db'), ...existing },
      file: at === 0 ? one : join(home.dir, 'hard'),
    }));
    expect(await refusedOf(home, () => home.book.create({ backups, diskOnly: true }))).toBe(
      'path-not-allowed',
    );
    expect(await refusedOf(home, () => home.book.create({ disks: overlays, diskOnly: true }))).toBe(
      'path-not-allowed',
    );
  });
});

describe.runIf(needsQemu())("what belongs to a snapshot is nobody else's:", () => {
  test.each([asOverlay, asTarget])(
    'a frozen layer of the machine, and the file of its memory (%o)',
    async (as) => {
      const home = await house();
      const wish: Wish = { memory: 'external', disks: [external('dev-da'), external('dev-db')] };
      const first = await home.book.create(wish);
      const memory = home.book.snapshot(first.snapshotId).memory.file ?? '';
      const { disks } = home.book.vm;
      for (const file of [home.fileOf('a'), disks[1]?.file ?? '', memory])
        expect(await refusedOf(home, () => home.book.create(as(file)))).toBe('path-not-allowed');
      await home.off();
      for (const file of [home.fileOf('a'), disks[1]?.file ?? '', memory, linkTo(home, memory)])
        expect(await refusedOf(home, () => home.book.create({ ...as(file), diskOnly: false }))).toBe(
          'path-not-allowed',
        );
    },
  );
});

/* A worker dies before, or while, it makes files where a caller has said. Whose is what its successor finds there? */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { finish, successor } from './haste.ts';
import { type House, house, imageWrite } from './house.ts';
import { cleanUp, makeDisk, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const internal = { device: 'dev-da', mode: 'internal' as const };
const external = { device: 'dev-da', mode: 'external' as const };
const backup = { device: 'dev-da', format: 'qcow2', sync: 'full', fileMode: 'absolute-paths' } as const;

/** Everything that a caller may name. */
const KINDS: Readonly<Record<string, (file: string) => Wish>> = {
  overlay: (file) => ({ disks: [{ ...external, file }], diskOnly: true }),
  copy: (target) => ({ disks: [internal], diskOnly: true, backups: [{ ...backup, target }] }),
  'copy beside an overlay': (target) => ({
    disks: [external],
    diskOnly: true,
    backups: [{ ...backup, target, sync: 'top' }],
  }),
  'state file': (memoryFile) => ({ disks: [external], memory: 'external', memoryFile }),
  'stream alone': (memoryFile) => ({
    disks: [{ device: 'dev-da', mode: 'none' }],
    ...{ memory: 'external', memoryFormat: 'stream', memoryFile },
  }),
  stream: (memoryFile) => ({ disks: [external], memory: 'external', memoryFormat: 'stream', memoryFile }),
};

/** What somebody else may make there meanwhile. */
const STRANGERS: Readonly<Record<string, (file: string) => void>> = {
  'an image': (file) => {
    makeDisk(file);
    imageWrite(file, 0x55);
  },
  'an image of nothing': (file) => void makeDisk(file),
  'a file of nothing': (file) => writeFileSync(file, ''),
  'a letter': (file) => writeFileSync(file, 'Dear …'),
  'an overlay of something else': (file) => {
    const other = makeDisk(`${file}.other`);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', other, '-F', 'qcow2', file]);
  },
};

/** A worker that dies at a fault point, as often as it has passed it; resolves when it has. */
async function dead(home: House, wish: Wish, at: { point: string; times?: number }): Promise<House['book']> {
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  let passed = 0;
  const first = await successor(home, (point) => {
    if (point === `hypervisor.${at.point}`) passed += 1;
    if (passed < (at.times ?? 1)) return Promise.resolve();
    die();
    return new Promise(() => undefined);
  });
  first.book.ask(wish);
  void first.book.work().then(
    () => die(),
    () => die(),
  );
  await death;
  await first.hypervisor.close();
  return first.book;
}

describe.runIf(needsQemu())('where a dead worker was to make a file', () => {
  const cases = Object.keys(KINDS).flatMap((kind) =>
    Object.keys(STRANGERS).map((what) => [kind, what] as const),
  );
  test.each(cases)(
    'of its own, its successor leaves what somebody else has made: %s, %s',
    async (kind, what) => {
      const home = await house({ letters: 'a' });
      const file = join(home.dir, 'theirs');
      const book = await dead(home, KINDS[kind]?.(file) ?? {}, { point: 'after-begin' });
      STRANGERS[what]?.(file);
      const before = readFileSync(file);
      const heir = await successor(home);
      const next = book.heir(heir.hypervisor);
      const { end, report } = await finish(next);
      expect(end).toMatch(/^undone: /);
      expect(readFileSync(file).equals(before)).toBe(true);
      expect(JSON.stringify(report)).toContain(`leave ${file}`);
      expect(next.vm.hold).toBeNull();
    },
  );
});

const POINTS = [
  'before-act',
  'before-image',
  'after-image',
  'after-copy',
  'before-power',
  'after-power',
  'after-act',
];

describe.runIf(needsQemu())('a worker that dies on the way', () => {
  const cases = Object.keys(KINDS).flatMap((kind) => POINTS.map((point) => [kind, point] as const));
  test.each(cases)('to a %s, at %s, leaves all of it or nothing', async (kind, point) => {
    const home = await house({ letters: 'a' });
    const file = join(home.dir, 'mine');
    const names = (): string[] =>
      readdirSync(home.dir).filter((name) => !/transcripts|sockets|sock$/.test(name));
    const before = names();
    const book = await dead(home, KINDS[kind]?.(file) ?? {}, { point });
    const heir = await successor(home);
    const next = book.heir(heir.hypervisor);
    const end = next.vm.operation ? (await finish(next)).end : 'created';
    expect(end).toMatch(/^(created|undone: .*)$/);
    if (end === 'created') expect(statSync(file).size).toBeGreaterThan(0);
    else expect(names()).toEqual(before);
    expect(existsSync(`${file}.part`)).toBe(false);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });
});

/* Where may a copy of a disk go? And of a machine that is off? */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { backup, external, holds, type More } from './backups.ts';
import { type House, house } from './house.ts';
import { cleanUp, guestWrite, makeDisk, needsQemu } from './rig.ts';

afterAll(cleanUp);

describe.runIf(needsQemu())('a target', () => {
  test('that the caller brings along is used as it is', async () => {
    const home = await house();
    const mine = makeDisk(join(home.dir, 'mine.raw'), { format: 'raw' });
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -q -P 0x77 0 8M', mine]);
    await guestWrite(home.vm, 'da', 0x11);
    const more = { format: 'raw', fileMode: 'existing' } as const;
    expect((await home.book.create({ diskOnly: true, backups: [backup('dev-da', mine, more)] })).end).toBe(
      'created',
    );
    expect(holds(mine, 'raw', 0x11)).toBe(true);
    expect(spawnSync('qemu-io', ['-r', '-f', 'raw', '-c', 'read -P 0 1M 7M', mine]).status).toBe(0);
  });

  test.each<[string, More, (home: House) => string, string]>([
    ['that is there', {}, (home) => makeDisk(join(home.dir, 'x.qcow2')), 'path-not-allowed'],
    ['that is not there', { fileMode: 'existing' }, (home) => join(home.dir, 'no.qcow2'), 'path-not-allowed'],
    [
      'that is too small',
      { fileMode: 'existing' },
      (home) => makeDisk(join(home.dir, 'x.qcow2'), { sizeMb: 4 }),
      'path-not-allowed',
    ],
    ['of another format', { fileMode: 'existing' }, (home) => rawFile(home), 'path-not-allowed'],
    ['that is a directory', { fileMode: 'existing' }, (home) => directory(home), 'path-not-allowed'],
    ['that stands on something', { fileMode: 'existing' }, (home) => overlay(home), 'path-not-allowed'],
    [
      'that another process has open',
      { fileMode: 'existing' },
      (home) => home.fileOf('b'),
      'path-not-allowed',
    ],
    ['outside the roots', {}, () => '/var/tmp/x.qcow2', 'path-not-allowed'],
    ['outside the roots through a link', {}, (home) => throughLink(home), 'path-not-allowed'],
    ['in a directory that is not there', {}, (home) => join(home.dir, 'no', 'x.qcow2'), 'path-not-allowed'],
    ['of a format that nobody copies into', { format: 'vmdk' }, (home) => join(home.dir, 'x'), 'unsupported'],
    [
      'that is raw and would have to stand on the disk',
      { format: 'raw', sync: 'none' },
      (home) => join(home.dir, 'x'),
      'invalid-combination',
    ],
  ])('%s is refused, and nothing is touched', async (_, more, make, reason) => {
    const home = await house();
    const target = make(home);
    const before = readdirSync(home.dir).toSorted();
    const { end } = await createOrRefusal(home, {
      diskOnly: true,
      backups: [backup('dev-da', target, more)],
    });
    expect(end).toContain(reason);
    expect(home.book.events.map(({ type }) => type)).not.toContain('OperationStarted');
    expect(readdirSync(home.dir).filter((name) => name !== 'transcripts')).toEqual(
      before.filter((name) => name !== 'transcripts'),
    );
    expect(home.tags()).toEqual(home.tagsOf());
  });
});

/** What the ledger itself refuses ends nothing. */
async function createOrRefusal(
  home: House,
  wish: Parameters<House['book']['create']>[0],
): Promise<{ end: string }> {
  try {
    return await home.book.create(wish);
  } catch (error) {
    return { end: error instanceof Error && 'code' in error ? String(error.code) : String(error) };
  }
}

function rawFile({ dir }: House): string {
  writeFileSync(join(dir, 'x.raw'), Buffer.alloc(8 * 1024 * 1024, 1));
  return join(dir, 'x.raw');
}

function directory({ dir }: House): string {
  mkdirSync(join(dir, 'x'));
  return join(dir, 'x');
}

function overlay(home: House): string {
  const file = join(home.dir, 'x.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', home.fileOf('a'), '-F', 'qcow2', file]);
  return file;
}

function throughLink({ dir }: House): string {
  symlinkSync('/var/tmp', join(dir, 'out'));
  return join(dir, 'out', 'x.qcow2');
}

describe.runIf(needsQemu())('of a machine that is off', () => {
  test('disks are copied as they are, and copies that would wait for writing are refused', async () => {
    const home = await house();
    await guestWrite(home.vm, 'da', 0x11);
    await home.vm.stop();
    const [a, b] = [join(home.dir, 'a.copy'), join(home.dir, 'b.copy')];
    const backups = [backup('dev-da', a), backup('dev-db', b, { format: 'raw' })];
    const { end, report } = await home.book.create({ disks: [external('dev-da')], backups });
    expect(end).toBe('created');
    expect(report).toMatchObject({ created: { backups: [{ target: a }, { target: b, format: 'raw' }] } });
    expect(holds(a, 'qcow2', 0x11)).toBe(true);
    const top = join(home.dir, 'top.qcow2');
    const again = await home.book.create({ backups: [backup('dev-da', top, { sync: 'top' })] });
    expect(again.end).toBe('created');
    expect(holds(top, 'qcow2', 0x11)).toBe(true);
    expect(statSync(top).size).toBeLessThan(1024 * 1024);
    const none = [backup('dev-da', join(home.dir, 'x.qcow2'), { sync: 'none' as const })];
    expect((await home.book.create({ backups: none })).end).toBe('undone: needs-power-on');
  });
});

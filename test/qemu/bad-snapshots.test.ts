/* Files of a snapshot that somebody has moved, cut or replaced meanwhile: is it noticed before anything is done? */
import { execFileSync } from 'node:child_process';
import { copyFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type House, house } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, makeDisk, needsQemu, startQemu } from './rig.ts';
import { refusedOf } from './standing.ts';

afterAll(cleanUp);

const external = ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const }));

const CLUSTER_BYTES = 65_536;

/** What somebody does to a file while nobody looks. The file itself, which QEMU may have open, is left alone. */
const HARMS: Readonly<Record<string, (file: string) => void>> = {
  'has vanished': (file) => renameSync(file, `${file}.away`),
  'was cut off': (file) => replace(file, () => truncateSync(file, 100)),
  'has lost its end': (file) => replace(file, () => truncateSync(file, statSync(file).size - CLUSTER_BYTES)),
  'is empty': (file) => replace(file, () => truncateSync(file, 0)),
  'is a text now': (file) => replace(file, () => writeFileSync(file, 'nothing of yours\n'.repeat(1_000))),
  'is another image now': (file) => replace(file, () => void makeDisk(file)),
  'is a larger image now': (file) => replace(file, () => void makeDisk(file, { sizeMb: 16 })),
  'is a raw image now': (file) => replace(file, () => void makeDisk(file, { format: 'raw' })),
};

/** A file of its own under the same name. */
function replace(file: string, harm: () => void): void {
  copyFileSync(file, `${file}.new`);
  renameSync(`${file}.new`, file);
  harm();
}

/** Three external snapshots; the machine is on or off above them. */
async function threeLayers(power: 'on' | 'off') {
  const home = await house();
  const ids: string[] = [];
  for (const pattern of [0x11, 0x22, 0x33]) {
    await writeAll(home, pattern);
    const { snapshotId, end } = await home.book.create({ disks: external, diskOnly: true });
    expect(end).toBe('created');
    ids.push(snapshotId);
  }
  await writeAll(home, 0x44);
  if (power === 'off') await home.off();
  const [, middle = ''] = ids;
  return { home, middle, frozen: home.book.snapshot(middle).disks[1]?.file ?? '' };
}

const expectRunning = async (home: House, content: string): Promise<void> => {
  expect(await contents(home)).toBe(content);
  expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
};

/** Of a machine that is off its images cannot be listed when one of them is gone. */
const tried = async (home: House, attempt: () => Promise<{ end: string }>): Promise<string> =>
  home.isOn ? refusedOf(home, attempt) : (await attempt()).end.replace(/^undone: /, '');

describe.runIf(needsQemu()).each(['on', 'off'] as const)('a layer of a machine that is %s', (power) => {
  test.each(Object.entries(HARMS))('that %s is not loaded and not merged', async (_, harm) => {
    const { home, middle, frozen } = await threeLayers(power);
    harm(frozen);
    const before = [...home.book.vm.snapshots.keys()];
    expect(await tried(home, () => home.book.load(middle))).toBe('snapshot-damaged');
    expect(await tried(home, () => home.book.delete(middle, 'merge'))).toBe('snapshot-damaged');
    expect([...home.book.vm.snapshots.keys()]).toEqual(before);
    expect(home.book.vm.hold).toBeNull();
    if (home.isOn) await expectRunning(home, '44 44');
  });
});

describe.runIf(needsQemu())('the memory of a snapshot', () => {
  test.each(Object.entries(HARMS))('whose file %s is not loaded', async (_, harm) => {
    const home = await house();
    await writeAll(home, 0x11);
    const { snapshotId } = await home.book.create({ memory: 'external', disks: external });
    await writeAll(home, 0x22);
    harm(home.book.snapshot(snapshotId).memory.file ?? '');
    expect(await refusedOf(home, () => home.book.load(snapshotId))).toBe('snapshot-damaged');
    await expectRunning(home, '22 22');
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
    await expectRunning(home, '11 11');
  });

  test('is not loaded from the file of another snapshot', async () => {
    const home = await house();
    const first = await home.book.create({ memory: 'external', disks: external });
    const second = await home.book.create({ memory: 'external', disks: external });
    const fileOf = (id: string): string => home.book.snapshot(id).memory.file ?? '';
    copyFileSync(fileOf(second.snapshotId), fileOf(first.snapshotId));
    expect(await refusedOf(home, () => home.book.load(first.snapshotId))).toBe('snapshot-damaged');
    expect((await home.book.load(second.snapshotId)).end).toBe('loaded');
  });

  test('goes with its snapshot though its file is gone already', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create({ memory: 'external', disks: external });
    rmSync(home.book.snapshot(snapshotId).memory.file ?? '');
    expect((await home.book.delete(snapshotId, 'merge')).end).toBe('deleted');
    expect(home.book.vm.snapshots.size).toBe(0);
  });

  test('of a machine with more memory, other devices or another type is not loaded into this one', async () => {
    const home = await house({ letters: 'a' });
    await writeAll(home, 0x11);
    const { snapshotId } = await home.book.create({
      memory: 'external',
      disks: [{ device: 'dev-da', mode: 'external' }],
    });
    const others: Partial<Parameters<typeof startQemu>[0]>[] = [
      { memoryMb: 96 },
      { extraArgs: ['-device', 'virtio-rng-pci'] },
      { extraArgs: ['-smp', '2'] },
      { extraArgs: ['-cpu', 'Skylake-Client'] },
    ];
    for (const other of others) {
      await home.off();
      await home.boot({ disks: home.present(), ...other });
      await writeAll(home, 0x22);
      expect(await refusedOf(home, () => home.book.load(snapshotId)), JSON.stringify(other)).toBe(
        'config-mismatch',
      );
      await expectRunning(home, '22');
    }
  });
});

describe.runIf(needsQemu())('a snapshot inside disks', () => {
  test.each(['on', 'off'] as const)(
    'that one disk has lost is not loaded, and no disk goes back (%s)',
    async (power) => {
      const home = await house();
      await writeAll(home, 0x11);
      const { snapshotId } = await home.book.create({ diskOnly: true });
      await writeAll(home, 0x22);
      await home.off();
      execFileSync('qemu-img', ['snapshot', '-d', `sl-${snapshotId}`, home.fileOf('b')]);
      if (power === 'on') await home.boot();
      expect(await refusedOf(home, () => home.book.load(snapshotId))).toBe('snapshot-damaged');
      if (power === 'off') await home.boot();
      await expectRunning(home, '22 22');
      expect((await home.book.delete(snapshotId, 'discard')).end).toBe('deleted');
      expect(home.tags()).toEqual(home.tagsOf());
    },
  );

  test('is not loaded from a disk that is another image now', async () => {
    const home = await house();
    await writeAll(home, 0x11);
    const { snapshotId } = await home.book.create({ diskOnly: true });
    await home.off();
    renameSync(home.fileOf('b'), join(home.dir, 'away'));
    makeDisk(home.fileOf('b'));
    await home.boot();
    await writeAll(home, 0x22);
    expect(await refusedOf(home, () => home.book.load(snapshotId))).toBe('snapshot-damaged');
    await expectRunning(home, '22 22');
  });
});

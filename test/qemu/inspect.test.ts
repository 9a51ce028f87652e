/* What do the images of a real machine say to an auditor who speaks to nobody? */
import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { inspectImages } from '#hypervisor';
import { tagOf } from '#ledger';
import { realWorld } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

/** What is found, and the states of all images. */
async function inspect({ book }: House): Promise<{ kinds: string[]; health: string[] }> {
  const { findings, images } = await inspectImages(realWorld(), book.vm);
  const health = [...new Set([...images.values()].map(({ kind }) => kind))].toSorted();
  return { kinds: findings.map(({ kind }) => kind), health };
}

const external = { disks: ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const })) };
const qemuImg = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

describe.runIf(needsQemu())('an auditor', () => {
  test('finds nothing wrong beside a running machine, and leaves what it writes on unchecked', async () => {
    const box = await house();
    await box.book.create({ memory: 'internal' });
    await box.book.create(external);
    expect(await inspect(box)).toEqual({ kinds: [], health: ['clean', 'locked'] });
    await box.off();
    expect(await inspect(box)).toEqual({ kinds: [], health: ['clean'] });
  });

  test('does not touch an image', async () => {
    const box = await house();
    await box.book.create();
    await box.off();
    const times = () => box.disks.map(({ file }) => statSync(file).mtimeMs);
    const before = times();
    await inspect(box);
    expect(times()).toEqual(before);
  });

  test('finds a snapshot that is gone from a disk, beside the machine that runs', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    const name = tagOf(snapshotId);
    await box.vm.monitor.execute('blockdev-snapshot-delete-internal-sync', { device: 'db', name });
    expect((await inspect(box)).kinds).toEqual(['partial']);
  });

  test('finds a layer that was taken away, and one that stands on another file than the log says', async () => {
    const box = await house();
    await box.book.create(external);
    await box.off();
    const [one = '', other = ''] = box.book.vm.disks.map(({ file }) => file);
    qemuImg('rebase', '-u', '-f', 'qcow2', '-b', box.fileOf('b'), '-F', 'qcow2', one);
    expect((await inspect(box)).kinds).toContain('wrong-chain');
    rmSync(other);
    expect((await inspect(box)).kinds).toContain('config-changed');
  });

  test('finds memory that is not the stream that was saved', async () => {
    const box = await house({ letters: 'a' });
    const { snapshotId } = await box.book.create({ memory: 'external', memoryFormat: 'stream' });
    await box.off();
    expect((await inspect(box)).kinds).toEqual([]);
    appendFileSync(box.book.snapshot(snapshotId).memory.file ?? '', 'x');
    expect((await inspect(box)).kinds).toEqual(['partial']);
  });

  test('is told by an image that says nothing any more that it cannot be read', async () => {
    const box = await house({ letters: 'a' });
    await box.book.create();
    await box.off();
    writeFileSync(box.fileOf('a'), Buffer.alloc(65_536));
    await expect(inspect(box)).rejects.toMatchObject({ code: 'disk-unsupported' });
  });

  test('finds an image that is damaged inside', async () => {
    const box = await house();
    await box.book.create();
    await box.off();
    const image = openSync(box.fileOf('a'), 'r+');
    writeSync(image, Buffer.alloc(64), 0, 64, 2 * 65_536); // Nothing is referenced any more, says the first block of counts.
    closeSync(image);
    expect((await inspect(box)).health).toEqual(['clean', 'damaged']);
  });
});

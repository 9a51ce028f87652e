/* A disk that is a block device, as LVM gives them: is it opened again as one, and does nothing come to lie beside it? */
import { execFileSync, spawnSync } from 'node:child_process';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { World } from '#world';
import { afterEach, afterAll, describe, expect, test } from 'vitest';
import { House } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, makeDisk, makeDirectory, needsQemu } from './rig.ts';

const TOUCH_AFTER_MS = 4;

const loops: string[] = [];
afterEach(async () => {
  await cleanUp();
  for (const loop of loops.splice(0)) execFileSync('losetup', ['-d', loop]);
});
afterAll(cleanUp);

/** Whether this machine lets us make a block device of a file. */
function hasLoops(): boolean {
  const file = makeDisk(join(makeDirectory(), 'try.raw'), { format: 'raw' });
  const { status, stdout } = spawnSync('losetup', ['-f', '--show', file], { encoding: 'utf8' });
  if (status === 0) execFileSync('losetup', ['-d', stdout.trim()]);
  else console.warn('SKIPPED, block devices are not tested: losetup makes none here');
  return status === 0;
}

/** A machine that runs on qcow2 images, each in a block device of 32 MiB. */
async function onDevices(letters: string, world = (real: World): World => real): Promise<House> {
  const home = new House({ letters: '', world });
  const extraArgs = [...letters].flatMap((letter) => {
    const file = makeDisk(join(home.dir, `device-${letter}.raw`), { format: 'raw', sizeMb: 32 });
    const loop = execFileSync('losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
    loops.push(loop);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', loop, '8M']);
    return [
      ...['-blockdev', `driver=host_device,node-name=d${letter}_f,filename=${loop}`],
      ...['-blockdev', `driver=qcow2,node-name=d${letter},file=d${letter}_f`],
      ...['-device', `virtio-blk-pci,drive=d${letter},id=dev-d${letter}`],
    ];
  });
  await home.boot({ extraArgs });
  await home.book.register(home.vm.monitorPath);
  return home;
}

/** A world in which the nodes of devices get a new time soon after a program had them open, as from udev's watch. */
const touching = (real: World): World => ({
  ...real,
  run: async (program, args, options) => {
    const ended = await real.run(program, args, options);
    const device = /filename=(\/dev\/\w+)/.exec(args.join(' '))?.[1];
    if (device) void setTimeout(TOUCH_AFTER_MS).then(() => utimesSync(device, new Date(), new Date()));
    return ended;
  },
});

const external = { device: 'dev-da', mode: 'external' as const };

describe.runIf(needsQemu() && hasLoops())('a disk that is a block device', () => {
  test('is opened again as what it is when its content is loaded', async () => {
    const home = await onDevices('a');
    await guestWrite(home.vm, 'da', 0x11);
    const { snapshotId, end } = await home.book.create({ diskOnly: true });
    expect(end).toBe('created');
    await guestWrite(home.vm, 'da', 0x22);
    const loaded = await home.book.load(snapshotId);
    expect(loaded.end, JSON.stringify(loaded.report)).toBe('loaded');
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
    expect((await home.book.delete(snapshotId)).end).toBe('deleted');
  });

  test('is captured outside only where the caller says: beside it there is no place', async () => {
    const home = await onDevices('a');
    await guestWrite(home.vm, 'da', 0x11);
    const refused = await home.book.create({ memory: 'none', disks: [external] });
    expect(refused.end).toBe('undone: disk-unsupported');
    expect(JSON.stringify(refused.report)).toContain('beside which no file can lie');
    const file = join(home.dir, 'overlay.qcow2');
    const { snapshotId, end, report } = await home.book.create({
      memory: 'none',
      disks: [{ ...external, file }],
    });
    expect(end, JSON.stringify(report)).toBe('created');
    await guestWrite(home.vm, 'da', 0x22);
    for (let round = 1; round <= 2; round += 1) {
      const loaded = await home.book.load(snapshotId);
      expect(loaded.end, JSON.stringify(loaded.report)).toBe('loaded');
      expect(home.book.vm.disks[0]?.file).toContain(home.dir);
      expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
    }
    const deleted = await home.book.delete(snapshotId);
    expect(deleted.end, JSON.stringify(deleted.report)).toBe('deleted');
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
  });

  test('is captured and loaded with another one while its machine is off, whoever touches their nodes', async () => {
    const home = await onDevices('ab', touching);
    await guestWrite(home.vm, 'da', 0x11);
    await home.off();
    const { snapshotId, end, report } = await home.book.create();
    expect(end, JSON.stringify(report)).toBe('created');
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
  });
});

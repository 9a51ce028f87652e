/* Are copies of disks of the capture's own instant, and is a capture whose copy fails taken back as a whole? */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  backup,
  expectNoTrace,
  external,
  largeHouse,
  holds,
  holdsItself,
  jobs,
  limitFile,
  writeWhenTaken,
} from './backups.ts';
import { house } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

describe.runIf(needsQemu())('beside a capture of a running machine', () => {
  test('two disks are copied in the same transaction, one captured inside, one in an overlay', async () => {
    const home = await house();
    const [a, b] = [join(home.dir, 'copy-a.qcow2'), join(home.dir, 'copy-b.raw')];
    for (const node of ['da', 'db']) await guestWrite(home.vm, node, 0x11);
    const writing = writeWhenTaken(home, 0x22);
    const { snapshotId, end, report } = await home.book.create({
      diskOnly: true,
      disks: [external('dev-db')],
      backups: [backup('dev-da', a), backup('dev-db', b, { format: 'raw' })],
    });
    await writing;
    expect(end).toBe('created');
    expect(report).toMatchObject({
      created: {
        backups: [
          { device: 'dev-da', target: a, format: 'qcow2', sync: 'full', sizeBytes: expect.any(Number) },
          { device: 'dev-db', target: b, format: 'raw', sync: 'full', sizeBytes: 8 * 1024 * 1024 },
        ],
      },
    });
    expect(home.book.snapshot(snapshotId).disks.map(({ mode }) => mode)).toEqual(['internal', 'external']);
    expect([holds(a, 'qcow2', 0x11), holds(b, 'raw', 0x11)]).toEqual([true, true]);
    for (const node of ['da', 'db']) expect(await guestReadPattern(home.vm, node, 0x22)).toBe(true);
    expect(await home.jobsLeft()).toEqual([]);
    expect((await home.book.create()).end).toBe('created');
  });

  test.each([
    ['in the disks', {}],
    ['in a file', { memory: 'external' as const }],
    ['as a stream', { memory: 'external' as const, memoryFormat: 'stream' as const }],
    [
      'in a file, above overlays',
      { memory: 'external' as const, disks: [external('dev-da'), external('dev-db')] },
    ],
  ])('memory %s is of the same instant, and the machine runs on', async (_, wish) => {
    const home = await house();
    const target = join(home.dir, 'copy.qcow2');
    await guestWrite(home.vm, 'da', 0x11);
    const { end, report } = await home.book.create({ ...wish, backups: [backup('dev-da', target)] });
    expect(end).toBe('created');
    expect(report).toMatchObject({ created: { consistency: 'memory', backups: [{ target }] } });
    expect(holds(target, 'qcow2', 0x11)).toBe(true);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });

  test('a large disk is copied before its memory is sent as a stream', async () => {
    const home = await largeHouse();
    const target = join(home.dir, 'copy.qcow2');
    const stream = { memory: 'external' as const, memoryFormat: 'stream' as const };
    const { end } = await home.book.create({ ...stream, backups: [backup('dev-da', target)] });
    expect(end).toBe('created');
    expect(holds(target, 'qcow2', 0x11)).toBe(true);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });

  test('a copy of the top alone stands on what the disk stands on', async () => {
    const home = await house({ letters: 'a' });
    await guestWrite(home.vm, 'da', 0x11);
    expect((await home.book.create({ diskOnly: true, disks: [external('dev-da')] })).end).toBe('created');
    await guestWrite(home.vm, 'da', 0x22, { offset: 1024 * 1024, length: 65_536 });
    const target = join(home.dir, 'top.qcow2');
    const { end } = await home.book.create({
      diskOnly: true,
      backups: [backup('dev-da', target, { sync: 'top' })],
    });
    expect(end).toBe('created');
    expect(holds(target, 'qcow2', 0x11)).toBe(true);
    const info = execFileSync('qemu-img', ['info', '-U', '--output=json', target], { encoding: 'utf8' });
    expect(JSON.parse(info)).toMatchObject({ 'backing-filename': home.fileOf('a') });
    expect(statSync(target).size).toBeLessThan(1024 * 1024);
  });

  test.each([
    ['dev-da', []],
    ['dev-da', [external('dev-da')]],
  ] as const)(
    'a copy of what is overwritten goes on until it is canceled (%s, %j)',
    async (device, disks) => {
      const home = await house();
      const target = join(home.dir, 'before.qcow2');
      await guestWrite(home.vm, 'da', 0x11);
      home.book.ask({ diskOnly: true, disks, backups: [backup(device, target, { sync: 'none' })] });
      const working = home.finish();
      await jobs(home, 1);
      await guestWrite(home.vm, 'da', 0x22);
      const { operation } = home.book.vm;
      await home.hypervisor.cancel(home.book.vm, { id: operation?.id ?? '' });
      expect((await working).end).toBe('created');
      expect(holds(target, 'qcow2', 0x11)).toBe(true);
      expect(holdsItself(target)).toBe(true);
      await expect(home.hypervisor.cancel(home.book.vm, { id: operation?.id ?? '' })).rejects.toMatchObject({
        code: 'not-cancelable',
      });
    },
  );

  test('a copy that is canceled undoes the capture', async () => {
    const home = await largeHouse();
    const [a, b] = [join(home.dir, 'copy-a.qcow2'), join(home.dir, 'copy-b.qcow2')];
    home.book.ask({ diskOnly: true, backups: [backup('dev-da', a), backup('dev-db', b)] });
    const working = home.finish();
    await expect.poll(() => home.book.progress, { interval: 5 }).toContain('copying');
    await home.hypervisor.cancel(home.book.vm, { id: home.book.vm.operation?.id ?? '' });
    expect((await working).end).toBe('undone: canceled');
    await expectNoTrace(home, a, b);
  });

  test('a copy that fails takes along one that would go on for ever', async () => {
    const home = await largeHouse();
    const [a, b] = [join(home.dir, 'copy-a.qcow2'), join(home.dir, 'before-b.qcow2')];
    const backups = [backup('dev-da', a), backup('dev-db', b, { sync: 'none' })];
    home.book.ask({ diskOnly: true, backups });
    const working = home.finish();
    const copying = (await jobs(home, 2)).find(({ id }) => id.endsWith('-b1'));
    await home.vm.monitor.execute('job-cancel', { id: copying?.id });
    expect((await working).end).toBe('undone: canceled');
    await expectNoTrace(home, a, b);
  });

  test('a copy that finds no space undoes the capture and the other copy', async () => {
    const home = await largeHouse();
    const [a, full] = [join(home.dir, 'copy-a.qcow2'), join(home.dir, 'copy-b.qcow2')];
    home.book.ask({ diskOnly: true, backups: [backup('dev-da', a), backup('dev-db', full)] });
    const working = home.finish();
    await jobs(home, 2);
    const unlimited = limitFile(home, 1024 * 1024);
    const { end, report } = await working;
    unlimited();
    expect(end).toBe('undone: no-space');
    expect(report).toMatchObject({ failed: { message: expect.stringMatching(/copy of dev-d[ab]/) } });
    await expectNoTrace(home, a, full);
    expect((await home.book.create({ diskOnly: true })).end).toBe('created');
  });
});

/* Whoever dies inside a copy: is the capture whole afterwards, or is nothing left of it? */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tagOf } from '#ledger';
import { afterAll, describe, expect, test } from 'vitest';
import { backup, external, largeHouse, holds, jobs, until } from './backups.ts';
import { finish, successor } from './haste.ts';
import { type House, house, imageHolds } from './house.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

describe.runIf(needsQemu())('death inside a copy', () => {
  test('of QEMU undoes the capture, what the guest has written since goes down into the image again', async () => {
    const home = await largeHouse();
    const [a, b] = [join(home.dir, 'copy-a.qcow2'), join(home.dir, 'copy-b.qcow2')];
    home.book.ask({
      diskOnly: true,
      disks: [external('dev-da'), external('dev-db')],
      backups: [backup('dev-da', a), backup('dev-db', b)],
    });
    const working = home.finish();
    await jobs(home, 2);
    await guestWrite(home.vm, 'da', 0x22);
    await home.vm.kill();
    expect((await working).end).toBe('undone: machine-gone');
    for (const file of [a, b]) expect(existsSync(file)).toBe(false);
    const [top] = home.book.vm.disks;
    expect(imageHolds(top?.file ?? '', 0x22)).toBe(true);
    expect(top?.file).toBe(home.fileOf('a'));
    expect(home.book.vm.hold).toBeNull();
  });

  test('of the worker leaves a copy that its successor waits for', async () => {
    const home = await house();
    await guestWrite(home.vm, 'da', 0x11);
    const target = join(home.dir, 'copy.qcow2');
    const { first, death } = await dying(home, 'before-copy');
    first.book.ask({ diskOnly: true, backups: [backup('dev-da', target, { sync: 'none' })] });
    void first.book.work();
    await death;
    await first.hypervisor.close();
    const heir = await successor(home);
    const book = first.book.heir(heir.hypervisor);
    const working = finish(book);
    await until(() => book.progress.includes('copying'));
    await guestWrite(home.vm, 'da', 0x22);
    await heir.hypervisor.cancel(book.vm, { id: book.vm.operation?.id ?? '' });
    expect((await working).end).toBe('created');
    expect(holds(target, 'qcow2', 0x11)).toBe(true);
  });

  test('of the worker that was about to let the machine run leaves that, and the copy, to its successor', async () => {
    const home = await house();
    await guestWrite(home.vm, 'db', 0x11);
    const target = join(home.dir, 'copy.qcow2');
    const { first, death } = await dying(home, 'before-power', 2);
    first.book.ask({ memory: 'external', backups: [backup('dev-db', target)] });
    void first.book.work();
    await death;
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'paused' });
    await first.hypervisor.close();
    const heir = await successor(home);
    const book = first.book.heir(heir.hypervisor);
    expect((await finish(book)).end).toBe('created');
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
    expect(holds(target, 'qcow2', 0x11)).toBe(true);
  });

  test('of two workers, of whom the second has taken the tags away already, leaves no copy', async () => {
    const home = await house();
    const target = join(home.dir, 'copy.qcow2');
    const one = await dying(home, 'after-act');
    one.first.book.ask({ backups: [backup('dev-da', target)] });
    void one.first.book.work();
    await one.death;
    await one.first.hypervisor.close();
    const two = await dying(home, 'after-removal', 2);
    const second = one.first.book.heir(two.first.hypervisor);
    void second.work();
    await two.death;
    await two.first.hypervisor.close();
    expect(home.tags()).toEqual(['', '']);
    const book = second.heir((await successor(home)).hypervisor);
    expect((await finish(book)).end).toMatch(/^undone: /);
    expect(existsSync(target)).toBe(false);
  });

  test('of the worker before the memory is saved ends a copy that nobody would ever end', async () => {
    const home = await house();
    const target = join(home.dir, 'copy.qcow2');
    const { first, death } = await dying(home, 'after-look', 2);
    first.book.ask({ memory: 'external', backups: [backup('dev-da', target, { sync: 'none' })] });
    void first.book.work();
    await death;
    await first.hypervisor.close();
    expect(await home.vm.monitor.execute('query-jobs')).toMatchObject([
      { type: 'backup', status: 'running' },
    ]);
    const book = first.book.heir((await successor(home)).hypervisor);
    expect((await finish(book)).end).toMatch(/^undone: /);
    expect(existsSync(target)).toBe(false);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });

  test('of two in a row never makes a capture of what is taken back in part', async () => {
    const home = await house();
    const { first, death } = await dying(home, 'after-act');
    first.book.ask({ diskOnly: true, disks: [external('dev-da'), external('dev-db')] });
    void first.book.work();
    await death;
    await first.hypervisor.close();
    await guestWrite(home.vm, 'da', 0x22);
    await guestWrite(home.vm, 'db', 0x33);
    await home.vm.kill();
    const { snapshotId, overlays } = first.book.vm.operation?.started ?? {};
    const overlay = overlays?.[1]?.file ?? '';
    writeFileSync(join(home.dir, `${tagOf(snapshotId ?? '')}-going-down`), ''); // Whoever takes one back says so first.
    execFileSync('qemu-img', ['commit', '-q', '-f', 'qcow2', '-d', overlay]);
    rmSync(overlay);
    const book = first.book.heir((await successor(home)).hypervisor);
    expect((await finish(book)).end).toMatch(/^undone: /);
    expect(imageHolds(home.fileOf('a'), 0x22)).toBe(true);
    expect(book.vm.disks.map(({ file }) => file)).toEqual([home.fileOf('a'), home.fileOf('b')]);
  });

  test.each([
    'before-act',
    'before-image',
    'after-act',
    'after-copy',
    'before-dismiss',
    'after-dismiss',
    'before-power',
  ])('of the worker at %s ends in all or nothing, and the machine runs on', async (point) => {
    const home = await house();
    const target = join(home.dir, 'copy.qcow2');
    const { first, death } = await dying(home, point);
    first.book.ask({ backups: [backup('dev-da', target)] });
    void first.book.work();
    await death;
    await first.hypervisor.close();
    const heir = await successor(home);
    const book = first.book.heir(heir.hypervisor);
    const { end } = await finish(book);
    const isWhole = ['after-copy', 'before-dismiss'].includes(point);
    expect(end).toMatch(isWhole ? /^created$/ : /^undone: /);
    expect(existsSync(target)).toBe(isWhole);
    expect(home.tags()).toEqual(home.tagsOf(...book.vm.snapshots.keys()));
    expect(await home.jobsLeft()).toEqual([]);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  });
});

/** A worker that dies where this point is passed, the first time or a later one. */
async function dying(home: House, point: string, pass = 1) {
  let passedCount = 0;
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  const first = await successor(home, (passed) => {
    if (passed === `hypervisor.${point}`) passedCount += 1;
    if (passedCount < pass) return Promise.resolve();
    die();
    return new Promise(() => undefined);
  });
  return { first, death };
}

/* Whatever is left when a real QEMU dies inside an operation: is it healed, and do disks and ledger agree? */
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { type House, house } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu, type RigMachine } from './rig.ts';

afterAll(cleanUp);

/** blkdebug that does nothing until it is told to. */
const WATCHED = { b: [] };

const qemuIo = (vm: RigMachine, command: string): Promise<unknown> =>
  vm.monitor.execute('human-monitor-command', { 'command-line': `qemu-io db_d "${command}"` });

/** Makes the next transaction stop with disk a done and disk b not, and kills QEMU there. */
async function dieHalfDone(home: House): Promise<void> {
  await qemuIo(home.vm, 'break flush_to_os A');
  home.book.ask({ diskOnly: true });
  const working = home.finish();
  await until(() => home.tags()[0] !== '');
  expect(home.tags()[1]).toBe('');
  await home.vm.kill();
  expect((await working).end).toBe('undone: machine-gone');
}

/** Disks and ledger say the same, and every image is sound. */
function expectAgreement(home: House): void {
  expect(home.book.vm.operation).toBeNull();
  expect(home.book.vm.hold).toBeNull();
  expect(home.tags()).toEqual(home.tagsOf(...home.book.vm.snapshots.keys()));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setTimeout(5);
}

const KILLS_EACH = 5;

describe.runIf(needsQemu())('a QEMU that dies', () => {
  test('between two disks of a transaction leaves a part, which is taken back', async () => {
    const home = await house({ blkdebug: WATCHED });
    await guestWrite(home.vm, 'da', 0x11);
    await dieHalfDone(home);
    expectAgreement(home);
    for (const rc of home.health()) expect([0, 3]).toContain(rc);
    await home.boot({ disks: home.withoutFaults() });
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
    expect((await home.book.create()).end).toBe('created');
    expectAgreement(home);
  });

  test('between two disks and is started anew at once is healed through its monitor', async () => {
    const home = await house({ blkdebug: WATCHED });
    await qemuIo(home.vm, 'break flush_to_os A');
    home.book.ask({ diskOnly: true });
    const working = home.finish();
    await until(() => home.tags()[0] !== '');
    await home.vm.kill();
    await home.boot({ disks: home.withoutFaults() });
    expect((await working).end).toBe('undone: machine-gone');
    expectAgreement(home);
  });

  test('inside a load is repaired, and the load repeated when the machine is back', async () => {
    const home = await house({ blkdebug: WATCHED });
    await guestWrite(home.vm, 'da', 0x11);
    await guestWrite(home.vm, 'db', 0x11);
    const { snapshotId } = await home.book.create();
    await guestWrite(home.vm, 'da', 0x22);
    await guestWrite(home.vm, 'db', 0x22);
    await qemuIo(home.vm, 'break flush_to_os A');
    home.book.askLoad(snapshotId);
    let isBack = false;
    const working = home.finish(async (obstacle) => {
      if (obstacle.reason !== 'machine-gone' || isBack) return void (await setTimeout(50));
      isBack = true;
      await home.boot({ disks: home.withoutFaults() });
    });
    await setTimeout(200);
    await home.vm.kill();
    expect((await working).end).toBe('loaded');
    expect(isBack).toBe(true);
    for (const node of ['da', 'db']) expect(await guestReadPattern(home.vm, node, 0x11)).toBe(true);
    expectAgreement(home);
  });

  test('inside a delete has it finished on its images', async () => {
    const home = await house({ blkdebug: WATCHED });
    const { snapshotId: kept } = await home.book.create();
    const { snapshotId } = await home.book.create();
    await qemuIo(home.vm, 'break flush_to_os A');
    home.book.askDelete(snapshotId);
    const working = home.finish();
    await until(() => !home.tags()[0]?.includes(snapshotId));
    await home.vm.kill();
    expect((await working).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf(kept));
    expectAgreement(home);
  });

  test.each(['ab', 'abcd'])(
    `at ${KILLS_EACH} random moments of creates on the disks %s leaves all or none`,
    async (letters) => {
      const deaths = Array.from({ length: KILLS_EACH }, async (_, n) => {
        const home = await house({ letters });
        home.book.ask(n % 2 === 0 ? { diskOnly: true } : {});
        const working = home.finish();
        await setTimeout(Math.random() * 30);
        await home.vm.kill();
        const { end } = await working;
        expect(['created', 'undone: machine-gone']).toContain(end);
        expectAgreement(home);
        for (const rc of home.health()) expect([0, 3]).toContain(rc);
      });
      await Promise.all(deaths);
    },
  );
});

/* Somebody dies in the middle: the daemon, or QEMU. What others left paused, orphaned, blocked or lost. */
import { readdirSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { contents, expectWhole, strays } from '../qemu/branches.ts';
import { finish, successor } from '../qemu/haste.ts';
import { type House, house } from '../qemu/house.ts';
import { writeAll } from '../qemu/patterns.ts';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { EXTERNAL, expectRunning, INTERNAL, loaded, powerCycled, taken, type Wish } from './tale.ts';

afterAll(cleanUp);

/** A machine whose worker dies when it passes the point for the n-th time, once it is told to be mortal. */
async function mortal(point: string) {
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  const fate = { isMortal: false };
  const home = await house({
    fault: async (passed) => {
      if (!fate.isMortal || passed !== `hypervisor.${point}`) return;
      die();
      await new Promise(() => undefined);
    },
  });
  const diesIn = async (ask: () => void): Promise<void> => {
    fate.isMortal = true;
    ask();
    await Promise.race([death, home.finish()]);
    fate.isMortal = false;
  };
  return { home, diesIn };
}

/** The next worker finds the open operation and ends it. */
async function inherited(home: House): Promise<string> {
  const { hypervisor, book } = await successor(home);
  home.hypervisor = hypervisor;
  home.book = book;
  return home.book.vm.operation ? (await finish(book)).end : 'ended before';
}

describe.runIf(needsQemu())('the neighbours’ bug', () => {
  test('libvirt: killed after the switch to new overlays, it forgot them, and the next start lost what the guest had written', async () => {
    const { home, diesIn } = await mortal('after-act');
    await writeAll(home, 0x11);
    await diesIn(() => void home.book.ask(EXTERNAL));
    await writeAll(home, 0x22);
    expect(await inherited(home)).toBe('created');
    await powerCycled(home);
    await expectRunning(home, '22 22');
    expect(strays(home)).toEqual([]);
  });

  test.each(['before-act', 'after-begin'])(
    'libvirt: killed inside an external capture (%s), its overlays stayed, and blocked every further try',
    async (point) => {
      const { home, diesIn } = await mortal(point);
      await writeAll(home, 0x11);
      await diesIn(() => void home.book.ask({ ...EXTERNAL, name: 'nightly' }));
      expect(await inherited(home)).toMatch(/^(created|undone: .*)$/);
      expect(strays(home)).toEqual([]);
      const after = [...home.book.vm.snapshots.values()].map(({ name }) => name);
      const name = after.includes('nightly') ? 'again' : 'nightly';
      expect((await home.book.create({ ...EXTERNAL, name })).end).toBe('created');
    },
  );

  test.each<[string, string, Wish]>([
    ['a checkpoint', 'after-power', { memory: 'external' }],
    ['a checkpoint', 'before-power', { memory: 'external' }],
    ['a checkpoint inside the disks', 'after-act', {}],
  ])('libvirt: killed inside %s (%s), it left the machine paused for good', async (_, point, wish) => {
    const { home, diesIn } = await mortal(point);
    await writeAll(home, 0x11);
    await diesIn(() => void home.book.ask(wish));
    expect(await inherited(home)).toMatch(/^(created|undone: .*)$/);
    await expectRunning(home, '11 11');
    expect(strays(home)).toEqual([]);
    expect(home.tags()).toEqual(home.tagsOf(...home.book.vm.snapshots.keys()));
  });

  test.each(['before-fold', 'after-fold', 'before-unlink', 'after-unlink'])(
    'libvirt: killed inside a merge (%s), some disks were merged, some not, and a retry never worked',
    async (point) => {
      const { home, diesIn } = await mortal(point);
      await taken(home, 0x11, EXTERNAL);
      const middle = await taken(home, 0x22, EXTERNAL);
      await writeAll(home, 0x33);
      const before = contents(home);
      await diesIn(() => home.book.askDelete(middle));
      expect(await inherited(home)).toBe('deleted');
      await expectWhole(home, before);
      await powerCycled(home);
      await expectRunning(home, '33 33');
    },
  );

  test('boxlite #217: the record could not be written after the capture, and nobody knew the snapshot', async () => {
    const home = await house();
    home.book.ask(INTERNAL);
    const isStarted = home.book.work({ begin: () => Promise.reject(new Error('the log is full')) });
    await expect(isStarted).rejects.toThrow('the log is full');
    expect(home.tags()).toEqual(home.tagsOf()); // What is not in the log is not done.
  });

  test('libvirt #36: QEMU was killed inside a capture, and for 20 hours nothing could be done with the machine', async () => {
    const home = await house();
    await writeAll(home, 0x11);
    home.book.ask({ memory: 'external' });
    const working = home.finish();
    while (!readdirSync(home.dir).some((name) => name.includes('memory'))) await setTimeout(2);
    await home.vm.kill();
    home.forget();
    expect((await working).end).toMatch(/^(created|undone: machine-gone)$/);
    expect(strays(home)).toEqual([]);
    await home.boot({ disks: home.present() });
    const id = await taken(home, 0x22);
    await writeAll(home, 0x33);
    await loaded(home, id);
    await expectRunning(home, '22 22');
  });

  test('CloudStack #8424: after a restart of the manager there were snapshots that nobody could delete', async () => {
    const { home, diesIn } = await mortal('before-begin');
    await diesIn(() => void home.book.ask(INTERNAL));
    expect(await inherited(home)).toBe('created');
    const [id = ''] = home.book.vm.snapshots.keys();
    expect((await home.book.delete(id, 'discard')).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf());
  });
});

/* Nobody hears whether a machine was told to stand still, and it was not: what is done to it then? */
import { NotNow } from '#hypervisor';
import { QmpUnknown } from '#qmp';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { house } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu, NO_SPACE } from './rig.ts';

afterAll(cleanUp);

/** As often as one attempt asks. */
const UNHEARD = 3;
const LOAD_ATTEMPTS_MAX = 4;

describe.runIf(needsQemu())('a load', () => {
  test.each([
    { name: 'memory and disks', wish: {} },
    { name: 'disks without memory', wish: { diskOnly: true } },
  ])('of $name waits until the machine stands still', async ({ wish }) => {
    let unheard = 0;
    let acts: string[] = [];
    const home = await house({
      fault: async (name) => {
        if (name === 'hypervisor.before-power' && unheard > 0) {
          unheard -= 1;
          throw new QmpUnknown('stop', 'closed', 'the connection was closed');
        }
        if (name !== 'hypervisor.before-act') return;
        const { status } = (await home.vm.monitor.execute('query-status')) as { status: string };
        acts.push(status);
      },
    });
    await writeAll(home, 0x11);
    const { snapshotId } = await home.book.create(wish);
    const captured = await contents(home);
    await writeAll(home, 0x22);
    home.book.askLoad(snapshotId, { disksOnly: 'diskOnly' in wish });
    unheard = UNHEARD;
    acts = [];
    let waits = 0;
    const { end } = await home.finish(async (obstacle) => {
      expect(obstacle).toBeInstanceOf(NotNow);
      waits += 1;
    });
    expect([end, waits, await contents(home)]).toEqual(['loaded', 1, captured]);
    expect(new Set(acts)).toEqual(new Set(['paused']));
  });

  test.each([
    { name: 'of memory', disksOnly: false, what: 'memory' as const },
    { name: 'of disks', disksOnly: true, what: 'disks' as const },
  ])(
    '$name that waited for it, and then finds no room for what is to be kept, lets it run on',
    async (load) => {
      let unheard = 0;
      const fault = async (name: string): Promise<void> => {
        if (name !== 'hypervisor.before-power' || unheard === 0) return;
        unheard -= 1;
        throw new QmpUnknown('stop', 'closed', 'the connection was closed');
      };
      const home = await house({ fault });
      await writeAll(home, 0x11);
      const { disksOnly, what } = load;
      const { snapshotId } = await home.book.create({ diskOnly: disksOnly });
      await writeAll(home, 0x22);
      await home.off();
      await home.boot({
        disks: home.disks.map((disk) => (disk.node === 'db' ? { ...disk, blkdebug: NO_SPACE } : disk)),
      });
      home.book.askLoad(snapshotId, { disksOnly, pin: { snapshotId: v7(), what } });
      unheard = UNHEARD;
      expect((await home.finish()).end).toBe('undone: no-space');
      expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
    },
  );

  test('that has torn the disks leaves the machine standing, whoever lets it run in the last moment', async () => {
    let failures = -1;
    const home = await house({
      world: (real) => ({
        ...real,
        run: async (program, args, options) => {
          const isFailing = failures >= 0 && args.includes('-a') && args.join(' ').includes('b.qcow2');
          if (!isFailing) return real.run(program, args, options);
          failures += 1;
          if (failures === LOAD_ATTEMPTS_MAX) await home.vm.monitor.execute('cont');
          return { code: 1, stdout: '', stderr: 'qemu-img: Could not apply snapshot: Input/output error' };
        },
      }),
    });
    await writeAll(home, 0x11);
    const { snapshotId } = await home.book.create({ diskOnly: true });
    await writeAll(home, 0x22);
    home.book.askLoad(snapshotId, { disksOnly: true });
    failures = 0;
    expect((await home.finish()).end).toMatch(/^held: /);
    expect(failures).toBe(LOAD_ATTEMPTS_MAX);
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'paused' });
  });
});

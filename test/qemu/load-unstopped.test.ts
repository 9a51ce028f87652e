/* Nobody hears whether a machine was told to stand still, and it was not: what is done to it then? */
import { NotNow } from '#hypervisor';
import { QmpUnknown } from '#qmp';
import { afterAll, describe, expect, test } from 'vitest';
import { house } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

/** As often as one attempt asks. */
const UNHEARD = 3;

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
});

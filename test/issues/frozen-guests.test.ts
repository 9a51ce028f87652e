/* Guests whose file systems are frozen for a capture: asked, achieved, and never left so. */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { closeAgents, type Manner, startAgent } from '../qemu/guest-agent.ts';
import { finish, successor } from '../qemu/haste.ts';
import { house } from '../qemu/house.ts';
import { cleanUp, needsQemu } from '../qemu/rig.ts';

afterAll(cleanUp);
afterAll(closeAgents);

/** A machine that runs, an agent in its guest, and a hasty worker. */
async function guarded(manner: Manner) {
  const home = await house();
  const agent = await startAgent(join(home.dir, 'agent.sock'));
  agent.manner = manner;
  home.book.handle({ type: 'ChangeVm', change: { guestAgent: agent.path } });
  return { home, agent, ...(await successor(home)) };
}

describe.runIf(needsQemu())('the neighbours’ bug', () => {
  test('kubevirt #9998, Xen Orchestra #4074: the freeze failed, and the snapshot could be neither finished nor deleted', async () => {
    const { home, agent, book } = await guarded('refuses');
    book.ask({ diskOnly: true, quiesce: 'require' });
    expect((await finish(book)).end).toBe('undone: no-guest-agent');
    expect(book.vm.snapshots.size).toBe(0);
    expect(home.tags()).toEqual(home.tagsOf());
    agent.manner = 'freezes';
    const id = book.ask({ diskOnly: true, quiesce: 'require' });
    expect((await finish(book)).end).toBe('created');
    book.askDelete(id, 'discard');
    expect((await finish(book)).end).toBe('deleted');
  });

  test('CloudStack #12871: “quiesce: false” froze the guest all the same', async () => {
    const { agent, book } = await guarded('freezes');
    for (const wish of [{}, { quiesce: 'none' as const }]) {
      book.ask({ diskOnly: true, ...wish });
      expect((await finish(book)).report).toMatchObject({ created: { consistency: 'crash' } });
    }
    expect(agent.asked).toEqual([]);
  });

  test('kubevirt #14096, vSphere, Proxmox: it had not been frozen, and the snapshot did not say so', async () => {
    const { agent, book } = await guarded('thaws by itself');
    book.ask({ diskOnly: true, quiesce: 'try' });
    expect((await finish(book)).report).toMatchObject({
      created: {
        consistency: 'crash',
        quiesce: { asked: 'try', achieved: 'none', why: expect.any(String) },
      },
    });
    expect(agent.isFrozen).toBe(false);
  });
});

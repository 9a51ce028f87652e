import { describe, expect, test, vi } from 'vitest';
import { StoreTrouble } from '#event-store';
import { computer } from '../../../test/worker/computer.ts';
import { asked, create, failedBecause, house, settled, VM } from '../../../test/worker/house.ts';
import { changeVm } from '../registration.ts';

const carriesOutNothing = () => Promise.reject(new Error('nobody asked for that'));

/** A worker that is busy with removing what an operation has left behind. */
async function removing() {
  const { world } = computer();
  const removal = Promise.withResolvers<void>();
  const found = { findings: [], stopped: false, removal: Promise.resolve() };
  const leftovers = [{ device: 'vda', file: '/a', tag: 'sl-x', snapshotId: null, why: 'stays' }];
  const { start, ask, types } = await house(
    async (_vm, { id }) => {
      const report = failedBecause(id, 'refused-by-qemu');
      return report.type === 'ReportFailed' ? { ...report, failed: { ...report.failed, leftovers } } : report;
    },
    world,
    found,
  );
  const worker = start();
  await worker.ready;
  await ask(create(1));
  await settled(world);
  expect(await types()).toContain('CreateFailed');
  found.removal = removal.promise;
  await world.pass(600_000); // What its own report had woken is over: this try is the clock's.
  return { world, worker, removed: removal.resolve };
}

describe('nobody waits for ever', () => {
  test('for a look at a machine of which nobody can say who has it', async () => {
    const { world, locks } = computer();
    const { start, troubles } = await house(carriesOutNothing, world);
    const worker = start();
    await worker.ready;
    locks.trouble = new Error('too many open files');
    await expect(worker.reconcile(VM, asked())).rejects.toMatchObject({
      code: 'host-unreachable',
      message: expect.stringContaining('too many open files'),
    });
    locks.trouble = null;
    expect(troubles).toEqual([]);
    await expect(worker.reconcile(VM, asked())).resolves.toMatchObject({ events: [] });
    await worker.stop();
  });

  test('for an operation on such a machine: it expires, and says what was in its way', async () => {
    const { world, locks, pass } = computer();
    locks.trouble = new Error('too many open files');
    const { start, ask, events } = await house(carriesOutNothing, world);
    const worker = start();
    await worker.ready;
    await ask(create(1));
    await pass(125_000);
    expect((await events()).at(-1)).toMatchObject({
      type: 'CreateFailed',
      data: { reason: 'expired', message: expect.stringContaining('too many open files') },
    });
    await worker.stop();
  });

  test('for a look while the log cannot be read', async () => {
    const { world } = computer();
    const { start, ledgers } = await house(carriesOutNothing, world);
    const worker = start();
    await worker.ready;
    const unreadable = new StoreTrouble('unavailable', 'the disk does not answer');
    const state = vi.spyOn(ledgers.vms, 'state').mockRejectedValue(unreadable);
    await expect(worker.reconcile(VM, asked())).rejects.toBe(unreadable);
    state.mockRestore();
    await world.pass(1_000);
    await expect(worker.reconcile(VM, asked())).resolves.toMatchObject({ events: [] });
    await worker.stop();
  });

  test('for a look at a machine that was given another monitor meanwhile, which is somebody else’s', async () => {
    const { world, locks } = computer();
    await world.lock('/n');
    const looked = Promise.withResolvers<void>();
    const found = { findings: [], stopped: false, looks: 0, wait: looked.promise };
    const { start, ledgers } = await house(carriesOutNothing, world, found);
    const worker = start();
    await worker.ready;
    const look = worker.reconcile(VM, asked()).catch((error: unknown) => error);
    await settled(world);
    await changeVm(ledgers, VM, { monitor: '/n' }, asked());
    looked.resolve();
    expect(await look).toMatchObject({ code: 'host-unreachable' });
    await settled(world);
    await expect(worker.reconcile(VM, asked())).rejects.toMatchObject({
      message: 'another worker of this host has the machine',
    });
    expect(found.looks).toBe(1); // Never over the monitor that is somebody else's.
    expect(locks.held).toEqual(new Set(['/n']));
    await worker.stop();
  });

  test('for a look that was wished for while leftovers were removed, which is done before the next try', async () => {
    const { worker, removed } = await removing();
    const look = worker.reconcile(VM, asked());
    removed();
    await look;
    await worker.stop();
  });

  test('for the end of a worker that was told to stop while it removed leftovers', async () => {
    const { world, worker, removed } = await removing();
    const stopped = worker.stop();
    await settled(world);
    removed();
    await stopped;
  });
});

import { describe, expect, test } from 'vitest';
import { NotNow } from '#hypervisor';
import { asked, create, failedBecause, house, settled, START, VM } from '../../../test/worker/house.ts';
import { computer } from '../../../test/worker/computer.ts';
import { changeVm, forgetVm } from '../registration.ts';
import { START_DEADLINE_MS } from './expired.ts';

const KEPT_AWAY = 'another worker of this host has the machine';
const SNAPSHOT_1 = '00000000-0000-7000-8000-000000000101';
const OPERATION_1 = '00000000-0000-7000-8000-000000000201';
const unasked = () => Promise.reject(new Error('nobody asked for that'));

type Computer = ReturnType<typeof computer>;

/** Somebody else on the computer has the machine, and does nothing with it. */
const takenByOther = async ({ world }: Computer) => {
  const lock = await world.lock('/m');
  if (!lock) throw new Error('the machine is not free');
  return lock;
};

describe('of two workers on one log', () => {
  test('the second carries out nothing while the first has the machine, and goes on when that has ended', async () => {
    const { world, pass, locks } = computer();
    const done: string[] = [];
    const ends: (() => void)[] = [];
    const { start, ask, types } = await house(async (_vm, { id }) => {
      done.push(id);
      await new Promise<void>((resolve) => void ends.push(resolve));
      return failedBecause(id, 'refused-by-qemu');
    }, world);
    const first = start();
    await first.ready;
    await ask(create(1));
    await settled(world);
    const second = start();
    await second.ready;
    await pass(60_000);
    expect(done).toHaveLength(1);
    ends.pop()?.();
    await settled(world);
    expect((await types()).filter((type) => type === 'CreateFailed')).toHaveLength(1);
    await first.stop();
    expect(locks.held).toEqual(new Set());
    await ask(create(2));
    await settled(world);
    expect(done).toHaveLength(2);
    ends.pop()?.();
    await second.stop();
    expect(locks.held).toEqual(new Set());
  });

  test('the second does within seconds what the first has left open', async () => {
    const { world, pass } = computer();
    let isFirst = true;
    const { start, ask, types, troubles } = await house(async (_vm, { id }) => {
      if (isFirst) throw new NotNow('host-unreachable', 'occupied');
      return failedBecause(id, 'refused-by-qemu');
    }, world);
    const first = start();
    await first.ready;
    await ask(create(1));
    const second = start();
    await second.ready;
    await pass(30_000);
    await first.stop();
    isFirst = false;
    expect(await types()).not.toContain('CreateFailed');
    await pass(2_000);
    expect(await types()).toContain('CreateFailed');
    expect(troubles).toEqual([]);
    await second.stop();
  });
});

describe('while a worker of another log has the machine', () => {
  test('whoever wants a look or a repair is refused at once, and nothing is looked at', async () => {
    const here = computer();
    await takenByOther(here);
    const found = { findings: [], stopped: false, looks: 0 };
    const { start, ask, expected } = await house(unasked, here.world, found);
    const worker = start();
    await worker.ready;
    const refused = { code: 'host-unreachable', message: KEPT_AWAY };
    for (const _ of [1, 2]) await expect(worker.reconcile(VM, asked())).rejects.toMatchObject(refused);
    const repair = worker.repair(VM, { asked: asked(), planHash: '' });
    await expect(repair).rejects.toMatchObject(refused);
    worker.expect(VM, create(1));
    await settled(here.world);
    expect(expected).toEqual([]);
    await ask(create(1));
    await settled(here.world);
    await expect(worker.reconcile(VM, asked())).rejects.toMatchObject(refused);
    expect(found.looks).toBe(0);
    await worker.stop();
  });

  test('an operation that could not begin in time expires, and says why', async () => {
    const here = computer();
    await takenByOther(here);
    const { start, ask, types, events } = await house(unasked, here.world);
    const worker = start();
    await worker.ready;
    await ask(create(1));
    await here.pass(START_DEADLINE_MS - 2_000);
    expect(await types()).not.toContain('CreateFailed');
    await here.pass(5_000);
    expect((await events()).at(-1)).toMatchObject({
      type: 'CreateFailed',
      data: { reason: 'expired', outcome: 'undone', message: expect.stringContaining(KEPT_AWAY) },
    });
    await worker.stop();
  });

  test('an operation is carried out within seconds once that one has let go', async () => {
    const here = computer();
    const other = await takenByOther(here);
    const { start, ask, types } = await house(
      async (_vm, { id }) => failedBecause(id, 'refused-by-qemu'),
      here.world,
    );
    const worker = start();
    await worker.ready;
    await ask(create(1));
    await here.pass(60_000);
    expect(await types()).not.toContain('CreateFailed');
    other.release();
    await here.pass(2_000);
    expect(await types()).toContain('CreateFailed');
    await worker.stop();
  });

  test('nothing spins: whoever has nothing to do does not ask for it, and whoever has asks every two seconds', async () => {
    const here = computer();
    await takenByOther(here);
    const { start, ask, types } = await house(unasked, here.world);
    const worker = start();
    await worker.ready;
    here.locks.tries.length = 0;
    await worker.reconcile(VM, asked()).catch(() => undefined);
    await here.pass(600_000);
    expect(here.locks.tries).toHaveLength(1);
    await ask(create(1));
    await here.pass(START_DEADLINE_MS + 5_000);
    expect(await types()).toContain('CreateFailed');
    expect(here.locks.tries.length).toBeGreaterThan(50);
    expect(here.locks.tries.length).toBeLessThan(80);
    const { length } = here.locks.tries;
    await here.pass(600_000);
    expect(here.locks.tries).toHaveLength(length);
    await worker.stop();
  });

  test('what another worker has begun and ended is not overdue here', async () => {
    const here = computer();
    await takenByOther(here);
    const { start, ask, types } = await house(unasked, here.world);
    const [snapshotId, operationId] = [SNAPSHOT_1, OPERATION_1];
    await ask(create(1));
    await ask({ type: 'StartOperation', start: { ...START, operationId, snapshotId } });
    const worker = start();
    await worker.ready;
    await here.pass(700_000);
    expect(worker.overdue()).toEqual(new Set([VM]));
    await ask(failedBecause(operationId, 'refused-by-qemu'));
    await here.pass(5_000);
    expect(await types()).toContain('CreateFailed');
    expect(worker.overdue()).toEqual(new Set());
    await worker.stop();
  });
});

/** A worker that has had something to do on it. */
async function atWork() {
  const here = computer();
  const home = await house(async (_vm, { id }) => failedBecause(id, 'refused-by-qemu'), here.world);
  const worker = home.start();
  await worker.ready;
  await home.ask(create(1));
  await settled(here.world);
  expect(here.locks.held).toEqual(new Set(['/m']));
  return { ...here, ...home, worker };
}

describe('a worker lets go of a machine', () => {
  test('that is forgotten', async () => {
    const { world, locks, ledgers, worker } = await atWork();
    await forgetVm(ledgers, VM, asked());
    await settled(world);
    expect(locks.held).toEqual(new Set());
    await worker.stop();
  });

  test('that is another host now', async () => {
    const { world, locks, ledgers, worker } = await atWork();
    await changeVm(ledgers, VM, { host: 'there' }, asked());
    await settled(world);
    expect(locks.held).toEqual(new Set());
    await worker.stop();
  });

  test('that has another monitor now, and takes it by that one', async () => {
    const { world, locks, ledgers, worker } = await atWork();
    await changeVm(ledgers, VM, { monitor: '/n' }, asked());
    await settled(world);
    expect(locks.held).toEqual(new Set(['/n']));
    await worker.stop();
    expect(locks.held).toEqual(new Set());
  });
});

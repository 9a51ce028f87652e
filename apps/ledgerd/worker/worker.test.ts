import { expect, test } from 'vitest';
import { StoreTrouble } from '#event-store';
import { Fenced, NotNow } from '#hypervisor';
import { create, failedBecause, handWorld, house, settled, START, VM } from '../../../test/worker/house.ts';

test('a log that cannot be read when the worker starts is read again, and no operation waits for a restart', async () => {
  const world = handWorld();
  let isUnreadable = false;
  const weak = {
    ...world,
    fault: async (point: string) => {
      if (isUnreadable && point === 'store.before-read')
        throw new StoreTrouble('unavailable', 'the disk does not answer');
    },
  };
  const { start, ask, types } = await house(
    async (_vm, { id }) => failedBecause(id, 'refused-by-qemu'),
    weak,
  );
  await ask(create(1));
  isUnreadable = true;
  const worker = start();
  await world.pass(0);
  isUnreadable = false;
  await world.pass(200);
  await worker.ready;
  await world.pass(1);
  expect(await types()).toContain('CreateFailed');
  await worker.stop();
});

test('what was asked while no worker ran is done by the next one', async () => {
  const { world, start, ask, types } = await house(async (_vm, { id }) =>
    failedBecause(id, 'refused-by-qemu'),
  );
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  expect(await types()).toEqual(['VmRegistered', 'SnapshotRequested', 'CreateFailed']);
  await worker.stop();
});

test('what is asked while it runs wakes it', async () => {
  const { world, start, ask, types } = await house(async (_vm, { id }) =>
    failedBecause(id, 'refused-by-qemu'),
  );
  const worker = start();
  await worker.ready;
  await ask(create(1));
  await settled(world);
  expect(await types()).toContain('CreateFailed');
  await worker.stop();
});

test('an operation that cannot begin in time expires, and says what stood in its way', async () => {
  const { world, start, ask, types } = await house(() =>
    Promise.reject(new NotNow('host-unreachable', 'occupied')),
  );
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  await world.pass(60_000);
  expect(await types()).not.toContain('CreateFailed');
  await world.pass(70_000);
  await world.pass(5_000);
  expect(await types()).toContain('CreateFailed');
  await worker.stop();
});

test('an operation that has begun is never ended by a deadline: it only shows as overdue', async () => {
  let begun = false;
  const { world, start, ask, types } = await house(async (_vm, { id: operationId, snapshotId }, journal) => {
    if (!begun) {
      begun = true;
      await journal.begin({ ...START, operationId, snapshotId });
    }
    throw new NotNow('host-unreachable', 'no answer');
  });
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  for (let minutes = 0; minutes < 12; minutes += 1) await world.pass(60_000);
  expect(await types()).toEqual(['VmRegistered', 'SnapshotRequested', 'OperationStarted']);
  expect([...worker.overdue()]).toEqual([VM]);
  await worker.stop();
});

test('an operation that copies for very long shows as overdue while it does, and no longer', async () => {
  const copied = Promise.withResolvers<void>();
  const { world, start, ask, types } = await house(async (_vm, { id: operationId, snapshotId }, journal) => {
    await journal.begin({ ...START, operationId, snapshotId });
    await copied.promise;
    return failedBecause(operationId, 'refused-by-qemu');
  });
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  expect([...worker.overdue()]).toEqual([]);
  for (let minutes = 0; minutes < 12; minutes += 1) await world.pass(60_000);
  expect([...worker.overdue()]).toEqual([VM]);
  copied.resolve();
  await settled(world);
  expect(await types()).toContain('CreateFailed');
  expect([...worker.overdue()]).toEqual([]);
  await worker.stop();
});

test('a bug in one round is told and tried again, and the lane goes on', async () => {
  let calls = 0;
  const { world, start, ask, types } = await house(async (_vm, { id }) => {
    calls += 1;
    if (calls < 3) throw new TypeError('a bug');
    return failedBecause(id, 'refused-by-qemu');
  });
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  await world.pass(200);
  await world.pass(400);
  expect(await types()).toContain('CreateFailed');
  await worker.stop();
});

test('a worker that stops lets go of what is open; the log keeps it for the next one', async () => {
  const { world, start, ask, types } = await house(() =>
    Promise.reject(new NotNow('host-unreachable', 'off')),
  );
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  await worker.stop();
  expect(await types()).toEqual(['VmRegistered', 'SnapshotRequested']);
});

test('a machine is looked at early while nothing is open on it, and only then', async () => {
  const { world, start, ask, expected } = await house(() => new Promise(() => undefined));
  const worker = start();
  await worker.ready;
  worker.expect('00000000-0000-7000-8000-000000000009', create(1)); // Nobody knows of it.
  worker.expect(VM, create(1));
  await ask(create(1));
  await settled(world);
  worker.expect(VM, create(1));
  await settled(world);
  expect(expected).toEqual(['/m']);
});

test('who is fenced looks again and touches nothing', async () => {
  let calls = 0;
  const { world, start, ask, types } = await house(async (_vm, { id }) => {
    calls += 1;
    if (calls === 1) throw new Fenced('somebody else');
    return failedBecause(id, 'refused-by-qemu');
  });
  await ask(create(1));
  const worker = start();
  await worker.ready;
  await settled(world);
  expect(calls).toBe(2);
  expect((await types()).filter((type) => type === 'CreateFailed')).toHaveLength(1);
  await worker.stop();
});

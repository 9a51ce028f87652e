import { expect, test } from 'vitest';
import { type Finding, Refusal } from '#ledger';
import { asked, create, failedBecause, handWorld, house, settled, VM } from '../../../test/worker/house.ts';
import { WISHES_MAX } from './wishes.ts';

test('an operation that finds a wrong chain is followed by a look that is recorded, and holds the VM', async () => {
  const wrong: Finding = { kind: 'wrong-chain', device: 'vda', message: 'wrong', evidence: [] };
  const { world, start, ask, types } = await house(
    async (_vm, { id }) => failedBecause(id, 'vm-held'),
    handWorld(),
    { findings: [wrong], stopped: true },
  );
  const worker = start();
  await worker.ready;
  await ask(create(1));
  await settled(world);
  expect(await types()).toEqual(['VmRegistered', 'SnapshotRequested', 'CreateFailed', 'DriftFound']);
  await worker.stop();
});

test('a look after a failure that cannot be had now is no trouble of ours', async () => {
  const gone = {
    findings: [],
    stopped: false,
    looks: 0,
    wait: Promise.reject<void>(new Refusal('vm-busy', 'at work')),
  };
  gone.wait.catch(() => undefined); // The look hears of it later.
  const { world, start, ask, troubles } = await house(
    async (_vm, { id }) => failedBecause(id, 'vm-held'),
    handWorld(),
    gone,
  );
  const worker = start();
  await worker.ready;
  await ask(create(1));
  await settled(world);
  expect(gone.looks).toBe(1);
  expect(troubles).toEqual([]);
  await worker.stop();
});

test('every machine that nobody works on is looked at now and then, and what differs is recorded once', async () => {
  const stray: Finding = { kind: 'orphan', file: '/x', message: 'left', evidence: [] };
  const found = { findings: [stray], stopped: false, looks: 0 };
  const { world, start, types } = await house(() => Promise.reject(new Error('unasked')), handWorld(), found);
  const worker = start(600_000);
  await worker.ready;
  await settled(world);
  expect(found.looks).toBe(0); // Nobody is in a hurry at the start.
  for (let hour = 0; hour < 6; hour += 1) await world.pass(600_000);
  expect(found.looks).toBeGreaterThan(2);
  expect(await types()).toEqual(['VmRegistered', 'DriftFound']);
  await worker.stop();
});

test('nobody waits for a look that was wished for just before something is carried out', async () => {
  const { world, start, ask } = await house(() => new Promise<never>(() => undefined));
  await ask(create(1));
  const worker = start();
  const wishes: Promise<unknown>[] = [];
  for (let turn = 0; turn < 30; turn += 1) {
    wishes.push(worker.reconcile(VM, asked()).catch((error: unknown) => error));
    await Promise.resolve(); // Somewhere in here the lane has looked around, and has not begun yet.
  }
  await settled(world);
  const told = await Promise.all(wishes.map((wish) => Promise.race([wish, settled(world)])));
  expect(told).toEqual(told.map(() => expect.objectContaining({ code: 'vm-busy' })));
});

test('nobody waits for a look while something is carried out', async () => {
  const { world, start, ask } = await house(() => new Promise<never>(() => undefined));
  const worker = start();
  await worker.ready;
  await ask(create(1));
  await settled(world);
  await expect(worker.reconcile(VM, asked())).rejects.toMatchObject({ code: 'vm-busy' });
});

test('nobody waits for a look of a worker that has stopped', async () => {
  const { start } = await house(() => Promise.reject(new Error('unasked')));
  const worker = start();
  await worker.ready;
  await worker.stop();
  const refused = { code: 'host-unreachable', message: 'this worker is stopping' };
  for (const _ of [1, 2]) await expect(worker.reconcile(VM, asked())).rejects.toMatchObject(refused);
});

test('a look waits for no place of an operation, and no more wait for one than a few', async () => {
  const looking = { findings: [], stopped: false, wait: new Promise<void>(() => undefined) };
  const { world, start } = await house(() => Promise.reject(new Error('unasked')), handWorld(), looking);
  const worker = start();
  await worker.ready;
  const first = worker.reconcile(VM, asked());
  await settled(world); // It is being looked at, and never comes to an end.
  const wishes = Array.from({ length: WISHES_MAX }, () => worker.reconcile(VM, asked()));
  await expect(worker.reconcile(VM, asked())).rejects.toMatchObject({ code: 'host-unreachable' });
  for (const wish of [first, ...wishes]) void wish.catch(() => undefined);
});

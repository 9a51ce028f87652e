import { expect, test } from 'vitest';
import { openMemoryStore } from '#event-store';
import { Fenced, type Hypervisor, type Journal, NotNow } from '#hypervisor';
import type { Command, Finding, OpenOperation, Report, Vm } from '#ledger';
import { realWorld, type World } from '#world';
import { openLedgers, streamOf } from '../ledger.ts';
import { registerVm } from '../registration.ts';
import { startWorker, type Worker } from './worker.ts';

const VM = '00000000-0000-7000-8000-000000000001';
const asked = (correlationId = 'test') => ({ actor: 'test', correlationId, request: {} });

/** A world whose monotonic clock only goes on when told; whoever sleeps wakes with it. */
function handWorld(): World & { pass(ms: number): Promise<void> } {
  const real = realWorld();
  let now = 0;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    ...real,
    clock: {
      now: real.clock.now,
      monotonic: () => now,
      sleep: (ms, signal) =>
        new Promise<void>((resolve) => {
          if (signal?.aborted) return resolve();
          const sleeper = { at: now + ms, wake: () => (sleepers.delete(sleeper), resolve()) };
          sleepers.add(sleeper);
          signal?.addEventListener('abort', sleeper.wake, { once: true });
        }),
    },
    async pass(ms) {
      now += ms;
      for (const sleeper of sleepers) if (sleeper.at <= now) sleeper.wake();
      await settled(real);
    },
  };
}

/** Long enough for everything that needs no clock to happen. */
async function settled({ turn }: World): Promise<void> {
  for (let turns = 0; turns < 30; turns += 1) await turn();
}

type CarryOut = (vm: Readonly<Vm>, operation: OpenOperation, journal: Journal) => Promise<Report>;

/** What a look at the machine finds, and how often somebody looked. */
interface Found {
  readonly findings: Finding[];
  readonly stopped: boolean;
  looks?: number;
}

async function house(
  carryOut: CarryOut,
  world = handWorld(),
  found: Found = { findings: [], stopped: false },
) {
  const store = openMemoryStore(world);
  const ledgers = openLedgers({ world, store });
  const disks = [
    { device: 'vda', node: 'a', format: 'qcow2', file: '/a', readOnly: false, default: 'internal' as const },
  ];
  const registration = {
    vmId: VM,
    name: 'vm',
    host: 'here',
    monitor: '/m',
    guestAgent: null,
    labels: {},
    disks,
    foreignTags: [],
  };
  await registerVm(ledgers, registration, asked());
  const expected: string[] = [];
  const survey = async ({ disks }: Vm): ReturnType<Hypervisor['survey']> => {
    found.looks = (found.looks ?? 0) + 1;
    const { findings, stopped } = found;
    return { disks: [...disks], foreignTags: [], findings: [...findings], below: [], stopped };
  };
  const hypervisor = {
    ...{ carryOut, survey },
    removeLeftovers: () => Promise.resolve([]),
    expect: ({ monitor }: Vm) => void expected.push(monitor),
  } as unknown as Hypervisor;
  const log = { told: () => undefined, trouble: () => undefined };
  const start = (reconcileEveryMs = 0): Worker =>
    startWorker({ world, store, ledgers, hypervisor, host: 'here', log, reconcileEveryMs });
  const ask = (command: Command) => ledgers.vms.handle(streamOf(VM), command, asked());
  const types = async (): Promise<string[]> =>
    (await store.read(streamOf(VM))).events.map(
      ({ record }) => (JSON.parse(record) as { type: string }).type,
    );
  return { world, start, ask, types, expected };
}

const create = (n: number): Command => ({
  type: 'CreateSnapshot',
  snapshotId: `00000000-0000-7000-8000-00000000010${n}`,
  operationId: `00000000-0000-7000-8000-00000000020${n}`,
  limits: { snapshotsMax: 9, chainMax: 64 },
});

const failedBecause = (operationId: string, reason: 'refused-by-qemu' | 'vm-held'): Report => ({
  type: 'ReportFailed',
  failed: {
    operationId,
    reason,
    message: '',
    outcome: 'undone',
    leftovers: [],
    steps: [],
    transcriptDigest: '',
  },
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
  const { world, start, ask, types } = await house(async (_vm, operation, journal) => {
    if (!begun) {
      begun = true;
      await journal.begin({
        operationId: operation.id,
        snapshotId: operation.snapshotId,
        worker: 'w',
        wasRunning: true,
        nodes: {},
        files: {},
        plan: [],
        undo: [],
        vmState: 'running',
        memory: 'none',
      });
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

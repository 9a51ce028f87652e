import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { noFaults } from './faults.ts';
import { Scheduler } from './scheduler.ts';
import { SimulatedHost } from './simulated-host.ts';
import { SimulatedProcess } from './simulated-world.ts';
import { Trace } from './trace.ts';

const EVENTS_MAX = 1_000;

function world(seed: number) {
  const trace = new Trace();
  const scheduler = new Scheduler(new Chance(seed), trace);
  return { trace, scheduler, host: new SimulatedHost(scheduler, new Chance(seed), noFaults) };
}

const processOn = (host: SimulatedHost, name = 'ledgerd') =>
  new SimulatedProcess(host, name, { atPoint: () => null, onDeath: () => undefined });

const toTheEnd = (scheduler: Scheduler) => scheduler.run(() => false, EVENTS_MAX);

test('what is due first happens first, whenever it was asked for', async () => {
  const { scheduler } = world(1);
  const seen: string[] = [];
  for (const ms of [30, 10, 20]) scheduler.after(ms, 'event', () => seen.push(`${ms} at ${scheduler.nowMs}`));
  await toTheEnd(scheduler);
  expect(seen).toEqual(['10 at 10', '20 at 20', '30 at 30']);
});

test('chance orders what happens at the same instant, and the seed fixes chance', async () => {
  const orders = new Set<string>();
  for (const seed of [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]) {
    const { scheduler } = world(seed);
    const seen: number[] = [];
    for (let n = 0; n < 5; n += 1) scheduler.after(1, 'event', () => seen.push(n));
    await toTheEnd(scheduler);
    orders.add(`${seed}: ${seen.join('')}`);
  }
  expect(orders.size).toBe(5);
  expect(new Set([...orders].map((order) => order.slice(3))).size).toBeGreaterThan(1);
});

test('time stands still while a chain of promises can still go on', async () => {
  const { scheduler } = world(1);
  const seen: string[] = [];
  const chain = async (): Promise<void> => {
    for (let link = 0; link < 100; link += 1) await Promise.resolve();
    seen.push(`chain at ${scheduler.nowMs}`);
  };
  scheduler.after(1, 'starts a chain', () => void chain());
  scheduler.after(1.001, 'next', () => seen.push('next'));
  await toTheEnd(scheduler);
  expect(seen).toEqual(['chain at 1', 'next']);
});

test('what was cancelled never happens', async () => {
  const { scheduler } = world(1);
  let happened = false;
  scheduler.after(1, 'event', () => (happened = true)).cancel();
  expect(await toTheEnd(scheduler)).toBe('idle');
  expect(happened).toBe(false);
});

test('nothing that a killed process waits for ever comes, and what it still calls does nothing', async () => {
  const { scheduler, host } = world(1);
  const process = processOn(host);
  const { world: lent } = process;
  const settled: string[] = [];
  const waits = [
    lent.clock.sleep(10),
    lent.turn(),
    lent.files.stat('/x'),
    lent.run('qemu-img', ['info', '/x'], { timeoutMs: 1_000 }),
    lent.connect('/run/vms/x.sock'),
  ];
  for (const wait of waits)
    void wait.then(
      () => settled.push('resolved'),
      () => settled.push('rejected'),
    );
  process.kill('test');
  void lent.clock.sleep(1).then(() => settled.push('late'));
  void lent.fault('hypervisor.before-look').then(() => settled.push('late'));
  void lent.files.append('/data/x', 'text').then(() => settled.push('late'));
  await toTheEnd(scheduler);
  expect(settled).toEqual([]);
  expect(host.files.stat('/data/x')).toBe(null);
});

test('a sleep that is aborted ends at once', async () => {
  const { scheduler, host } = world(1);
  const { clock } = processOn(host).world;
  const nap = new AbortController();
  let woken = -1;
  void clock.sleep(1_000, nap.signal).then(() => (woken = clock.monotonic()));
  scheduler.after(5, 'abort', () => nap.abort());
  await toTheEnd(scheduler);
  expect(woken).toBe(5);
});

test('two processes never make the same id, and the same process always the same ones', () => {
  expect(idsOf(1, 'ledgerd.0')).toEqual(idsOf(1, 'ledgerd.0'));
  expect(new Set([...idsOf(1, 'ledgerd.0'), ...idsOf(1, 'ledgerd.1'), ...idsOf(2, 'ledgerd.0')]).size).toBe(
    60,
  );
});

function idsOf(seed: number, name: string): string[] {
  const { ids } = processOn(world(seed).host, name).world;
  return Array.from({ length: 20 }, () => ids.uuid());
}

import { realWorld } from '#world';
import { expect, test } from 'vitest';
import { fakeMonitor, type FakeScript } from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { LISTENER_EVENTS_MAX } from './listener.ts';
import { openMonitor } from './open.ts';
import { LISTENERS_MAX } from './session.ts';

const { turn } = realWorld();

async function open(on: FakeScript['on'] = {}) {
  const clock = handClock();
  const fake = fakeMonitor({ on });
  return { clock, fake, monitor: await openMonitor({ clock, connect: fake.connect }, '/qmp') };
}

test('a listener hears the events it asked for, in order, from when it was opened', async () => {
  const { monitor, fake } = await open({ stop: (_, call) => call.emit('STOP') });
  fake.emit('RESUME', { n: 0 });
  await turn();
  const events = monitor.listen(['STOP', 'RESUME']);
  await monitor.execute('stop');
  fake.emit('SHUTDOWN');
  fake.emit('RESUME', { n: 1 });
  expect(await events.next(1_000)).toEqual({ name: 'STOP', data: {} });
  expect(await events.next(1_000)).toEqual({ name: 'RESUME', data: { n: 1 } });
});

test('each listener gets every event', async () => {
  const { monitor, fake } = await open();
  const [one, two] = [monitor.listen(['STOP']), monitor.listen(['STOP'])];
  fake.emit('STOP');
  expect([(await one.next(1))?.name, (await two.next(1))?.name]).toEqual(['STOP', 'STOP']);
});

test('a listener that hears nothing in time answers null, and hears later', async () => {
  const { monitor, fake, clock } = await open();
  const events = monitor.listen(['STOP']);
  const nothing = events.next(100);
  clock.advance(100);
  expect(await nothing).toBeNull();
  fake.emit('STOP');
  expect(await events.next(100)).not.toBeNull();
  expect(clock.sleeperCount).toBe(0);
});

test('a listener whose session has ended gives what it has, then null', async () => {
  const { monitor, fake } = await open();
  const events = monitor.listen(['STOP']);
  fake.emit('STOP');
  fake.kill();
  await turn();
  expect((await events.next(1_000))?.name).toBe('STOP');
  expect(await events.next(1_000)).toBeNull();
  expect(await monitor.listen(['STOP']).next(1_000)).toBeNull();
});

test('a listener that waits when the session ends, or when it is closed, gets null', async () => {
  const { monitor, fake } = await open();
  const [closed, orphaned] = [monitor.listen(['STOP']), monitor.listen(['STOP'])];
  const both = Promise.all([closed.next(1_000), orphaned.next(1_000)]);
  closed.close();
  fake.kill();
  expect(await both).toEqual([null, null]);
});

test('a listener that nobody reads keeps the newest events and counts the lost ones', async () => {
  const { monitor, fake } = await open();
  const events = monitor.listen(['STOP']);
  for (let n = 0; n < LISTENER_EVENTS_MAX + 3; n++) fake.emit('STOP', { n });
  await turn();
  expect(events.droppedCount).toBe(3);
  expect((await events.next(0))?.data).toEqual({ n: 3 });
});

test('listeners that are closed make room for others; too many at once are a bug', async () => {
  const { monitor } = await open();
  for (let n = 0; n < 2 * LISTENERS_MAX; n++) monitor.listen(['STOP']).close();
  for (let n = 0; n < LISTENERS_MAX; n++) monitor.listen(['STOP']);
  expect(() => monitor.listen(['STOP'])).toThrow(`${LISTENERS_MAX} listeners are open`);
});

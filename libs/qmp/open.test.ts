import { type Connect, ConnectTrouble, realWorld } from '#world';
import { expect, test } from 'vitest';
import { fakeMonitor, fakeRefusal, fakeSilence, type FakeMonitor } from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { outcomeOf } from './fake/outcome.ts';
import type { OpenOptions } from './monitor.ts';
import { openMonitor } from './open.ts';

const { turn } = realWorld();
const PATH = '/run/vm.qmp';

const open = (fake: Pick<FakeMonitor, 'connect'>, options: OpenOptions = {}, clock = handClock()) =>
  openMonitor({ clock, connect: fake.connect }, PATH, options);

test('opening a monitor negotiates and tells the version of the greeting', async () => {
  const fake = fakeMonitor();
  const monitor = await open(fake);
  expect(monitor.version).toEqual({ major: 7, minor: 2, micro: 22 });
  expect(monitor.isOpen).toBe(true);
  expect(fake.received).toEqual([{ command: 'qmp_capabilities', args: {}, id: 1 }]);
});

test('an open monitor leaves no timer behind', async () => {
  const clock = handClock();
  const monitor = await open(fakeMonitor({ on: { stop: () => ({}) } }), {}, clock);
  await monitor.execute('stop');
  expect(clock.sleeperCount).toBe(0);
});

test.each([
  ['ENOENT', 'off'],
  ['ECONNREFUSED', 'off'],
  ['EAGAIN', 'occupied'],
  ['EACCES', 'not-a-monitor'],
  ['ENOTSOCK', 'not-a-monitor'],
  ['other', 'not-a-monitor'],
] as const)('a socket that answers %s is %s', async (code, kind) => {
  const connect: Connect = (path) => Promise.reject(new ConnectTrouble(code, path, `connect ${code}`));
  await expect(open({ connect })).rejects.toMatchObject({
    name: 'MonitorTrouble',
    kind,
    message: `connect ${code}`,
  });
});

test('a monitor that does not greet in time is occupied, and the connection is given back', async () => {
  const clock = handClock();
  const fake = fakeMonitor();
  const first = await open(fake);
  const second = outcomeOf(open(fake, { greetingTimeoutMs: 2_000 }, clock));
  await turn();
  clock.advance(1_999);
  await turn();
  expect(clock.sleeperCount).toBe(1);
  clock.advance(1);
  expect(await second).toBe('nothing sent: occupied');
  first.close();
  expect((await open(fake)).isOpen).toBe(true); // The second one does not stand in the queue any more.
});

test('a monitor that greets and then falls silent is occupied', async () => {
  const clock = handClock();
  const opening = outcomeOf(open(fakeMonitor({ on: { qmp_capabilities: () => fakeSilence } }), {}, clock));
  await turn();
  clock.advance(2_000);
  expect(await opening).toBe('nothing sent: occupied');
});

test.each([
  ['an SSH server', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
  ['a server of other JSON', '{"jsonrpc": "2.0"}\n'],
  ['a server of lists', '[1, 2]\n'],
  ['a monitor that answers before it greets', '{"return": {}, "id": 0}\n'],
  ['a monitor that tells events before it greets', '{"event": "STOP"}\n'],
  ['a greeting without a version', '{"QMP": {"capabilities": []}}\n'],
  [
    'a greeting with words for numbers',
    '{"QMP": {"version": {"qemu": {"major": "7", "minor": 2, "micro": 22}}}}\n',
  ],
  ['a line without end', 'x'.repeat(10 * 1024 * 1024 + 1)],
])('%s is not a monitor', async (_, greeting) => {
  expect(await outcomeOf(open(fakeMonitor({ greeting })))).toBe('nothing sent: not-a-monitor');
});

test('a monitor that refuses to negotiate is not a monitor', async () => {
  const fake = fakeMonitor({ on: { qmp_capabilities: () => fakeRefusal('no') } });
  await expect(open(fake)).rejects.toMatchObject({
    kind: 'not-a-monitor',
    message: `${PATH} refused: qmp_capabilities: no`,
  });
});

test('a monitor that hangs up before it has greeted is closed', async () => {
  const fake = fakeMonitor({ greeting: null });
  const opening = outcomeOf(open(fake));
  await turn();
  fake.kill();
  expect(await opening).toBe('nothing sent: closed');
});

test('a monitor that has died is off, and open to the next client when it is back', async () => {
  const fake = fakeMonitor();
  fake.kill();
  expect(await outcomeOf(open(fake))).toBe('nothing sent: off');
  fake.revive();
  expect((await open(fake)).isOpen).toBe(true);
});

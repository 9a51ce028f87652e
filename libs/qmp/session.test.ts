import { realWorld } from '#world';
import { expect, test } from 'vitest';
import {
  type FakeCall,
  fakeMonitor,
  fakeRefusal,
  type FakeScript,
  fakeSilence,
} from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { outcomeOf } from './fake/outcome.ts';
import type { OpenOptions } from './monitor.ts';
import { openMonitor } from './open.ts';
import { COMMANDS_WAITING_MAX } from './session.ts';
import type { TranscriptEntry } from './transcript.ts';
import { LINE_CHARACTERS_MAX } from './wire.ts';

const { turn } = realWorld();

async function open(on: FakeScript['on'] = {}, options: OpenOptions = {}) {
  const clock = handClock();
  const fake = fakeMonitor({ on });
  const monitor = await openMonitor({ clock, connect: fake.connect }, '/qmp', options);
  return { clock, fake, monitor };
}

test('a command that QEMU carries out is done, with what it returns', async () => {
  const { monitor, fake } = await open({ 'query-status': () => ({ status: 'running' }) });
  expect(await monitor.execute('query-status')).toEqual({ status: 'running' });
  await monitor.execute('query-status', { a: 1 });
  expect(fake.received.map(({ command, args, id }) => [command, args, id])).toEqual([
    ['qmp_capabilities', {}, 1],
    ['query-status', {}, 2],
    ['query-status', { a: 1 }, 3],
  ]);
});

test("a command that QEMU refuses is refused in QEMU's own words", async () => {
  const { monitor } = await open({ eject: () => fakeRefusal("Device 'x' not found", 'DeviceNotFound') });
  await expect(monitor.execute('eject')).rejects.toMatchObject({
    name: 'QmpRefused',
    message: "eject: Device 'x' not found",
    command: 'eject',
    errorClass: 'DeviceNotFound',
    description: "Device 'x' not found",
  });
  expect(monitor.isOpen).toBe(true);
});

test('a command without an answer in time is unknown, and the session goes on', async () => {
  let late: FakeCall | undefined;
  const { monitor, clock } = await open({
    stop: (_, call) => {
      late = call;
      return fakeSilence;
    },
    cont: () => ({}),
  });
  const stopping = outcomeOf(monitor.execute('stop', {}, { timeoutMs: 500 }));
  await turn();
  clock.advance(500);
  expect(await stopping).toBe('unknown: timeout');
  late?.reply({});
  expect(await outcomeOf(monitor.execute('cont'))).toBe('done {}');
  expect(monitor.isOpen).toBe(true);
});

test('a command that names no timeout gets the one of the session', async () => {
  const { monitor, clock } = await open({ stop: () => fakeSilence }, { commandTimeoutMs: 70 });
  const stopping = outcomeOf(monitor.execute('stop'));
  clock.advance(70);
  expect(await stopping).toBe('unknown: timeout');
});

test('a command that waits when the connection ends is unknown', async () => {
  const { monitor, fake, clock } = await open({ stop: () => fakeSilence });
  const stopping = outcomeOf(monitor.execute('stop'));
  await turn();
  fake.kill();
  expect(await stopping).toBe('unknown: closed');
  expect(monitor.isOpen).toBe(false);
  expect(clock.sleeperCount).toBe(0);
});

test('a command for a session that is over was never sent', async () => {
  const { monitor, fake } = await open({ stop: () => ({}) });
  monitor.close();
  expect(await outcomeOf(monitor.execute('stop'))).toBe('nothing sent: closed');
  await turn();
  expect(fake.received.map(({ command }) => command)).toEqual(['qmp_capabilities']);
});

test('closing the session leaves waiting commands unknown', async () => {
  const { monitor } = await open({ stop: () => fakeSilence });
  const stopping = outcomeOf(monitor.execute('stop'));
  monitor.close();
  expect(await stopping).toBe('unknown: closed');
});

test('a closed session leaves the monitor to the next client', async () => {
  const { monitor, fake, clock } = await open();
  monitor.close();
  expect((await openMonitor({ clock, connect: fake.connect }, '/qmp')).isOpen).toBe(true);
});

test('the end of a session is told once to each who asked, and at once to who asks afterwards', async () => {
  const { monitor, fake } = await open();
  const told: string[] = [];
  monitor.onClose(() => told.push('before'));
  fake.kill();
  await turn();
  monitor.close();
  monitor.onClose(() => told.push('after'));
  expect(told).toEqual(['before', 'after']);
});

test('answers find their commands in whatever order they come', async () => {
  let first: FakeCall | undefined;
  const { monitor } = await open({
    stop: (_, call) => {
      first = call;
      return fakeSilence;
    },
    cont: (_, call) => {
      call.reply('second');
      first?.reply('first');
      return fakeSilence;
    },
  });
  const both = Promise.all([monitor.execute('stop'), monitor.execute('cont')]);
  expect(await both).toEqual(['first', 'second']);
});

test('commands are sent without waiting for the ones before, up to a bound', async () => {
  const { monitor, fake } = await open({ 'query-status': ({ n }) => n });
  const many = Array.from({ length: COMMANDS_WAITING_MAX }, (_, n) => monitor.execute('query-status', { n }));
  await expect(monitor.execute('query-status')).rejects.toThrow(`${COMMANDS_WAITING_MAX} commands wait`);
  expect(await Promise.all(many)).toEqual(Array.from({ length: COMMANDS_WAITING_MAX }, (_, n) => n));
  expect(fake.received).toHaveLength(1 + COMMANDS_WAITING_MAX);
});

test('an answer given twice counts once', async () => {
  const { monitor } = await open({
    stop: (_, call) => {
      call.reply(1);
      return 2;
    },
    cont: () => 3,
  });
  expect(await Promise.all([monitor.execute('stop'), monitor.execute('cont')])).toEqual([1, 3]);
});

test.each([999, '2', null, { id: 2 }, undefined])('an answer under the id %j is dropped', async (id) => {
  const { monitor } = await open({
    stop: (_, call) => {
      call.raw(`${JSON.stringify({ return: 'not yours', id })}\n`);
      return 'yours';
    },
  });
  expect(await monitor.execute('stop')).toBe('yours');
});

test('a refusal under an unknown id is dropped', async () => {
  const { monitor } = await open({
    stop: (_, call) => {
      call.refuse('not yours', 'GenericError', 999);
      return 'yours';
    },
  });
  expect(await monitor.execute('stop')).toBe('yours');
});

const WITHOUT_ID = '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n';

test('a refusal without id ends the session while a command waits: it may be the one', async () => {
  const { monitor } = await open({ stop: (_, call) => call.raw(WITHOUT_ID) });
  expect(await outcomeOf(monitor.execute('stop'))).toBe('unknown: closed');
  expect(monitor.isOpen).toBe(false);
});

test('a refusal without id is dropped when no command waits', async () => {
  const { monitor } = await open({
    stop: (_, call) => {
      call.reply({});
      call.raw(WITHOUT_ID);
      return fakeSilence;
    },
    cont: () => ({}),
  });
  await monitor.execute('stop');
  await turn();
  expect(await outcomeOf(monitor.execute('cont'))).toBe('done {}');
});

test.each([
  ['no JSON', '{"return": {}, "id"\n'],
  ['no object', '"return"\n'],
  ['nothing we know', '{"id": 2}\n'],
  ['an error without words', '{"error": {"class": "GenericError"}, "id": 2}\n'],
  ['an event without a name', '{"event": 7}\n'],
  ['a second greeting', '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}}\n'],
  ['a line over the limit', `{"return": "${'x'.repeat(LINE_CHARACTERS_MAX)}", "id": 2}\n`],
  ['a line over the limit that does not end', 'x'.repeat(LINE_CHARACTERS_MAX + 1)],
])('%s ends the session and leaves the command unknown', async (_, text) => {
  const { monitor } = await open({ stop: (_, call) => call.raw(text) });
  expect(await outcomeOf(monitor.execute('stop'))).toBe('unknown: closed');
  expect(await outcomeOf(monitor.execute('stop'))).toBe('nothing sent: closed');
});

test('a line as long as the limit is read', async () => {
  const frame = '{"return": "", "id": 2}';
  const text = frame.replace('""', `"${'x'.repeat(LINE_CHARACTERS_MAX - frame.length)}"`);
  const { monitor } = await open({
    stop: (_, call) => {
      call.raw(`${text}\n`);
      return fakeSilence;
    },
  });
  expect(await monitor.execute('stop')).toHaveLength(LINE_CHARACTERS_MAX - frame.length);
});

test('what arrives character by character, with blank lines between, reads the same', async () => {
  const { monitor } = await open({
    stop: (_, call) => {
      for (const character of '\r\n\n{"event": "STOP"}\r\n{"return": "é\u2028", "id": 2}\r\n')
        call.raw(character);
      return fakeSilence;
    },
  });
  const events = monitor.listen(['STOP']);
  expect(await monitor.execute('stop')).toBe('é\u2028');
  expect(await events.next(0)).toEqual({ name: 'STOP', data: {} });
});

test('the transcript tells everything that went over the wire, in order', async () => {
  const entries: TranscriptEntry[] = [];
  const { monitor, clock } = await open(
    { stop: (_, call) => call.emit('STOP'), 'object-add': () => fakeRefusal('no') },
    { transcript: (entry) => entries.push(entry) },
  );
  clock.advance(5);
  await monitor.execute('stop');
  await outcomeOf(monitor.execute('object-add', { id: 's', secret: 'hush' }));
  expect(entries.map(({ at, direction, text }) => `${at} ${direction} ${text}`)).toEqual([
    expect.stringMatching(/^0 received \{"QMP"/),
    '0 sent {"execute":"qmp_capabilities","id":1}',
    '0 received {"return":{},"id":1}',
    '5 sent {"execute":"stop","id":2}',
    '5 received {"timestamp":{"seconds":0,"microseconds":0},"event":"STOP","data":{}}',
    '5 received {"return":{},"id":2}',
    '5 sent {"execute":"object-add","arguments":{"id":"s","secret":"(removed)"},"id":3}',
    '5 received {"id":3,"error":{"class":"GenericError","desc":"no"}}',
  ]);
});

/* What the fake has in common with QEMU 7.2; test/qemu/qmp.test.ts sees the same on the real one. */
import { realWorld, type Connection } from '#world';
import { expect, test } from 'vitest';
import { fakeMonitor, fakeRefusal } from './fake-monitor.ts';
import { handClock } from './hand-clock.ts';

const { turn } = realWorld();

/** A client that keeps every word. */
async function listen(connection: Connection): Promise<{ said: () => string; isClosed: () => boolean }> {
  let said = '';
  let isClosed = false;
  connection.onText((text) => void (said += text));
  connection.onClose(() => void (isClosed = true));
  await turn();
  return { said: () => said, isClosed: () => isClosed };
}

const NEGOTIATE = '{"execute":"qmp_capabilities","id":1}\n';

test('what was said before anyone listened is not lost', async () => {
  const connection = await fakeMonitor({ greeting: 'hello' }).connect('/qmp');
  await turn();
  expect((await listen(connection)).said()).toBe('hello');
});

test('nothing but negotiating is possible before it has been done', async () => {
  const connection = await fakeMonitor({ greeting: '', on: { stop: () => ({}) } }).connect('/qmp');
  const { said } = await listen(connection);
  connection.write('{"execute":"stop","id":1}\n');
  await turn();
  expect(said()).toContain("Expecting capabilities negotiation with 'qmp_capabilities'");
});

test('a command that nobody handles is not found', async () => {
  const connection = await fakeMonitor().connect('/qmp');
  const { said } = await listen(connection);
  connection.write(`${NEGOTIATE}{"execute":"query-nothing","id":2}\n`);
  await turn();
  expect(said()).toContain('"class":"CommandNotFound","desc":"The command query-nothing has not been found"');
});

test('one client is served at a time; the next gets its greeting, and its queued commands run, when it leaves', async () => {
  const fake = fakeMonitor({ on: { stop: () => ({}) } });
  const [first, second] = [await fake.connect('/qmp'), await fake.connect('/qmp')];
  const { said } = await listen(second);
  second.write(`${NEGOTIATE}{"execute":"stop","id":2}\n`);
  await turn();
  expect([said(), fake.received]).toEqual(['', []]);
  first.close();
  await turn();
  expect(said()).toMatch(/^\{"QMP".*"id":1\}.*"id":2\}\r\n$/s);
});

test('two clients may wait, a third is turned away', async () => {
  const fake = fakeMonitor();
  for (let n = 0; n < 3; n++) await fake.connect('/qmp');
  await expect(fake.connect('/qmp')).rejects.toMatchObject({ code: 'EAGAIN' });
});

test('commands run one after the other, and what a client that left had queued never runs', async () => {
  const clock = handClock();
  const ran: unknown[] = [];
  const fake = fakeMonitor({
    on: {
      stop: async ({ n }) => {
        ran.push(n);
        await clock.sleep(100);
      },
    },
  });
  const connection = await fake.connect('/qmp');
  const { said } = await listen(connection);
  connection.write(NEGOTIATE);
  for (const n of [1, 2, 3]) connection.write(`{"execute":"stop","arguments":{"n":${n}},"id":"${n}"}\n`);
  await turn();
  expect(ran).toEqual([1]);
  clock.advance(100);
  await turn();
  expect([ran, said().includes('"id":"1"')]).toEqual([[1, 2], true]);
  connection.close();
  clock.advance(100);
  await turn();
  expect([ran, said().includes('"id":"2"')]).toEqual([[1, 2], false]);
});

test('a killed fake runs nothing more, even what it was told already', async () => {
  const fake = fakeMonitor({ on: { stop: () => ({}) } });
  const connection = await fake.connect('/qmp');
  const { isClosed } = await listen(connection);
  connection.write(NEGOTIATE);
  fake.kill();
  await turn();
  expect([fake.received, isClosed()]).toEqual([[], true]);
});

test('a hang in one life does not block the next', async () => {
  let isHanging = true;
  const fake = fakeMonitor({ on: { stop: () => (isHanging ? new Promise(() => {}) : fakeRefusal('no')) } });
  const talk = async (): Promise<string> => {
    const connection = await fake.connect('/qmp');
    const { said } = await listen(connection);
    connection.write(`${NEGOTIATE}{"execute":"stop","id":2}\n`);
    await turn();
    return said();
  };
  expect(await talk()).not.toContain('"id":2');
  fake.kill();
  await turn();
  isHanging = false;
  fake.revive();
  expect(await talk()).toContain('"desc":"no"');
});

test('events reach only a client that has negotiated', async () => {
  const fake = fakeMonitor({ greeting: '' });
  const connection = await fake.connect('/qmp');
  const { said } = await listen(connection);
  fake.emit('STOP');
  connection.write(NEGOTIATE);
  await turn();
  fake.emit('RESUME');
  await turn();
  expect(said()).not.toContain('STOP');
  expect(said()).toContain('RESUME');
});

test('a conversation breaks off at the chosen character', async () => {
  const connection = await fakeMonitor({
    greeting: 'hello',
    death: { of: 'sent', afterCharacters: 3 },
  }).connect('/qmp');
  const { said, isClosed } = await listen(connection);
  expect([said(), isClosed()]).toEqual(['hel', true]);
});

test('a command of which the last character is missing never came', async () => {
  for (const [missing, count] of [
    [1, 0],
    [0, 1],
  ] as const) {
    const fake = fakeMonitor({ death: { of: 'received', afterCharacters: NEGOTIATE.length - missing } });
    const connection = await fake.connect('/qmp');
    const { said, isClosed } = await listen(connection);
    connection.write(NEGOTIATE);
    await turn();
    expect([fake.received.length, isClosed(), said().includes('"id":1')]).toEqual([count, true, false]);
  }
});

import { expect, test } from 'vitest';
import { verifyChain } from '#event-store';
import { realWorld } from '#world';
import { type Ledgerd, ledgerd, NOBODY, snapshotOn, vmOn } from './ledgerd.ts';

interface Event {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly version: string;
  readonly position: string;
  readonly previousHash: string;
  readonly hash: string;
}

const lines = (text: string): Event[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);

test('the log is told as it was sealed, from any place in it', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  await snapshotOn(daemon, vmId, 'a');
  const all = await daemon.ask('GET', '/v1/events');
  expect(all.headers.get('content-type')).toBe('application/x-ndjson');
  const events = lines(all.text);
  expect(events.map(({ type }) => type)).toEqual([
    'VmClaimed',
    'VmRegistered',
    'SnapshotRequested',
    'OperationStarted',
    'SnapshotCreated',
  ]);
  const own = await daemon.ask('GET', `/v1/vms/${vmId}/events`);
  expect(lines(own.text)).toEqual(events.slice(1));
  expect(lines((await daemon.ask('GET', `/v1/vms/${vmId}/events?fromVersion=3`)).text)).toEqual(
    events.slice(3),
  );
  expect((await daemon.ask('GET', `/v1/vms/${vmId}/events?fromVersion=99`)).text).toBe('');
  const after = events[2]?.position ?? '';
  expect(lines((await daemon.ask('GET', `/v1/events?afterPosition=${after}`)).text)).toEqual(events.slice(3));
  expect((await daemon.ask('GET', `/v1/events?afterPosition=${events.at(-1)?.position}`)).text).toBe('');
});

test('whoever keeps the answer can check the chain', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  await snapshotOn(daemon, vmId, 'a');
  const { text } = await daemon.ask('GET', `/v1/vms/${vmId}/events`);
  const stored = text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { stream, version, position, previousHash, hash } = JSON.parse(line) as Event;
      const record = `${line.slice(0, line.lastIndexOf(',"position":'))}}`;
      return { stream, version: Number(version), position, previousHash, hash, record };
    });
  expect(verifyChain(stored).version).toBe(4);
});

test('a place that is not in this log is refused', async () => {
  const { ask } = await ledgerd();
  for (const path of [
    '/v1/events?afterPosition=99',
    '/v1/events?afterPosition=x',
    '/v1/events?afterPosition=-1',
    '/v1/watch?afterPosition=99',
  ])
    expect(await ask('GET', path), path).toMatchObject({ status: 400, body: { reason: 'invalid-query' } });
  expect((await ask('GET', '/v1/watch', undefined, { 'last-event-id': 'x' })).body.reason).toBe(
    'invalid-query',
  );
  expect((await ask('GET', '/v1/events')).text).toBe('');
  expect((await ask('GET', `/v1/vms/${NOBODY}/events`)).body.reason).toBe('vm-unknown');
});

/** Watches from this moment on, when it resolves. `until` reads as far as it takes, and hangs up. */
async function watch({ url }: Ledgerd, headers: Record<string, string> = {}, query = '') {
  const hangUp = new AbortController();
  const answer = await fetch(`${url}/v1/watch${query}`, { headers, signal: hangUp.signal });
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  return {
    until: async (isEnough: (text: string) => boolean): Promise<string> => {
      const decoder = new TextDecoder();
      let text = '';
      for await (const piece of answer.body ?? []) {
        text += decoder.decode(piece as Uint8Array, { stream: true });
        if (isEnough(text)) break;
      }
      hangUp.abort();
      return text;
    },
  };
}

const idsIn = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '');

test('a watcher hears what happens from now on, and goes on where it was', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  const watcher = await watch(daemon);
  await snapshotOn(daemon, vmId, 'a');
  const heard = await watcher.until((text) => text.includes('SnapshotCreated'));
  expect(idsIn(heard)).toEqual(['3', '4', '5']);
  expect(heard).not.toContain('VmRegistered');
  const data = [...heard.matchAll(/^data: (.*)$/gm)].map(([, text]) => JSON.parse(text ?? '') as Event);
  expect(data.map(({ position }) => position)).toEqual(['3', '4', '5']);
  const again = await watch(daemon, { 'last-event-id': '1' });
  const resumed = await again.until((text) => text.includes('SnapshotCreated'));
  expect(idsIn(resumed)).toEqual(['2', '3', '4', '5']);
});

test('a watcher from 0 on hears the first event of a log that is empty when it comes', async () => {
  const daemon = await ledgerd();
  const watchers = await Promise.all([
    watch(daemon, {}, '?afterPosition=0'),
    watch(daemon, { 'last-event-id': '0' }),
  ]);
  await vmOn(daemon);
  for (const watcher of watchers)
    expect(idsIn(await watcher.until((text) => text.includes('VmRegistered')))).toEqual(['1', '2']);
});

test('a watcher to whom nothing happens hears that we are still there', async () => {
  const real = realWorld();
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    real.clock.sleep(ms === 15_000 ? 5 : ms, signal);
  const daemon = await ledgerd({ world: { ...real, clock: { ...real.clock, sleep } } });
  const watcher = await watch(daemon);
  const text = await watcher.until((heard) => heard.split(': still here').length > 3);
  expect(idsIn(text)).toEqual([]);
});

test('more watchers than we can serve are told to come back', async () => {
  const daemon = await ledgerd();
  const hangUp = new AbortController();
  const watchers = Array.from({ length: 256 }, () =>
    fetch(`${daemon.url}/v1/watch`, { signal: hangUp.signal }),
  );
  await Promise.all(watchers);
  const refused = await daemon.ask('GET', '/v1/watch');
  expect(refused).toMatchObject({ status: 503, body: { reason: 'store-unavailable', retryable: true } });
  expect((await daemon.ask('GET', '/metrics')).text).toContain('snapledger_watchers 256');
  hangUp.abort();
  for (let turns = 0; turns < 200; turns += 1) {
    if ((await daemon.ask('GET', '/metrics')).text.includes('snapledger_watchers 0')) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect.unreachable('the places of those who have gone are still taken');
});

test('a daemon that stops ends its watchers and those who wait', async () => {
  const daemon = await ledgerd();
  const vmId = await vmOn(daemon);
  daemon.machines.next.end = 'never';
  const created = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, {});
  const watcher = await watch(daemon);
  const waiting = daemon.ask('GET', `/v1/operations/${created.body.id}?wait=60s`);
  for (const _ of [1, 2, 3]) await daemon.ask('GET', '/health/live'); // By then it has been heard.
  await daemon.stop();
  expect(await watcher.until(() => false)).toContain(': watching');
  expect((await waiting).body).toMatchObject({ done: false });
});

test('HEAD on a stream is answered and ends', async () => {
  const { ask } = await ledgerd();
  for (const path of ['/v1/watch', '/v1/events']) expect((await ask('HEAD', path)).status, path).toBe(200);
});

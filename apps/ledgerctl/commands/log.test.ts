import { expect, test } from 'vitest';
import { conversation } from '../../../test/ledgerctl/conversation.ts';
import type { Route } from '../../../test/ledgerctl/fake-ledgerd.ts';
import { VM_ID } from '../../../test/ledgerctl/specimens.ts';

const { running, heard, lastHeard } = conversation();

const event = (version: number, more: object = {}): object => ({
  id: 'e',
  type: 'SnapshotRequested',
  stream: `vm-${VM_ID}`,
  version: `${version}`,
  position: `${version}`,
  recordedAt: '2026-11-21T11:30:00.000Z',
  actor: 'http:ann',
  data: { name: '\u001b[2J', snapshotId: 's1' },
  ...more,
});
const ndjson = (...events: readonly object[]): Route => ({
  headers: { 'content-type': 'application/x-ndjson' },
  body: events.map((one) => `${JSON.stringify(one)}\n`).join(''),
});

const message = (version: number, more: object = {}): string =>
  `id: ${version}\ndata: ${JSON.stringify(event(version, more))}\n\n`;

test('events are lines for people, or the very lines of the log', async () => {
  const routes = { [`GET /v1/vms/${VM_ID}/events`]: ndjson(event(1), event(2)) };
  expect((await running('events web1 --from-version 1', routes)).out.split('\n')[0]).toBe(
    String.raw`2026-11-21 11:30:00Z  vm-${VM_ID}@1  SnapshotRequested     http:ann  name=\u001b[2J  snapshotId=s1`,
  );
  expect(lastHeard()?.query).toEqual({ fromVersion: '1' });
  const { out } = await running('events web1 --json', routes);
  expect(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([event(1), event(2)]);
});

test('events --all begin after a position', async () => {
  expect(await running('events --all --after 7', { 'GET /v1/events': ndjson() })).toMatchObject({
    code: 0,
    out: '',
  });
  expect(lastHeard()?.query).toEqual({ afterPosition: '7' });
  for (const words of [
    'events',
    'events web1 --all',
    'events web1 --after 7',
    'events --all --from-version 7',
  ]) {
    expect((await running(words)).code).toBe(2);
  }
});

test('watch goes on where a broken connection ended, and ends with Ctrl-C', async () => {
  const stop = new AbortController();
  const { code, out, err } = await running(
    'watch web1',
    {
      'GET /v1/watch': (_, times) => {
        if (times === 0) return { headers: { 'snapledger-position': '4' }, body: ': watching\n\n' };
        if (times === 1) return { body: message(5) + message(6, { stream: 'registry' }) };
        if (times === 2) return 'lost';
        stop.abort();
        return 'lost';
      },
    },
    { interrupted: stop.signal },
  );
  expect({ code, err, lines: out.trimEnd().split('\n').length }).toEqual({ code: 0, err: '', lines: 1 });
  const resumed = heard()
    .slice(1)
    .map(({ headers }) => headers['last-event-id']);
  expect(resumed).toEqual([undefined, '4', '6', '6']);
});

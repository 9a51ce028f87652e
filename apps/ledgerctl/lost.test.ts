import { afterEach, expect, test } from 'vitest';
import { ctl } from '../../test/ledgerctl/ctl.ts';
import { fakeLedgerd, problem, type FakeLedgerd, type Route } from '../../test/ledgerctl/fake-ledgerd.ts';
import { lookups, operation, OPERATION_ID, succeeded, VM_ID } from '../../test/ledgerctl/specimens.ts';

const CREATE = `POST /v1/vms/${VM_ID}/snapshots`;
const OPERATION = `GET /v1/operations/${OPERATION_ID}`;

let ledgerd: FakeLedgerd | null = null;
afterEach(async () => {
  await ledgerd?.close();
  ledgerd = null;
});

const create = async (route: Route, more: Readonly<Record<string, Route>> = {}) => {
  ledgerd = await fakeLedgerd({ ...lookups, [CREATE]: route, [OPERATION]: { body: succeeded() }, ...more });
  return ctl(ledgerd.url, ['create', VM_ID, 'a']);
};
const creates = () => ledgerd?.heard.filter(({ method }) => method === 'POST') ?? [];

test('nobody there is an error at once, and says where it looked', async () => {
  const gone = await fakeLedgerd({});
  await gone.close();
  const { code, err } = await ctl(gone.url, ['create', VM_ID, 'a']);
  expect(code).toBe(1);
  expect(err).toContain(`cannot-connect: ${gone.url} does not answer`);
});

test('a lost answer is asked for again under the same key', async () => {
  for (const loss of ['lost', 'torn', { status: 502, body: 'bad gateway' }] as const) {
    const { code } = await create((_, times) => (times < 2 ? loss : { status: 202, body: operation() }));
    expect(code).toBe(0);
    expect(creates()).toHaveLength(3);
    expect(new Set(creates().map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    await ledgerd?.close();
  }
});

test('when no answer ever arrives, the outcome is unknown, and the key to ask again is told', async () => {
  const { code, err } = await create('lost');
  expect(code).toBe(6);
  expect(creates()).toHaveLength(5);
  const key = creates()[0]?.headers['idempotency-key'];
  expect(err).toContain('outcome-unknown: ');
  expect(err).toContain(`--key ${String(key)}`);
});

test('"not now" after a lost answer does not say that nothing was done', async () => {
  const later = problem(503, 'store-unavailable', 'later', { retryable: true });
  expect((await create((_, times) => (times === 0 ? 'lost' : later))).code).toBe(6);
  await ledgerd?.close();
  expect((await create(later)).code).toBe(4);
  expect(creates()).toHaveLength(1);
});

test('a refusal after a lost answer is believed: under its key a command that was done is never refused', async () => {
  const refused = problem(409, 'name-taken', 'taken');
  expect((await create((_, times) => (times === 0 ? 'lost' : refused))).code).toBe(3);
});

test('a question whose answers get lost is an error and changes nothing', async () => {
  ledgerd = await fakeLedgerd({ 'GET /v1/vms': 'lost' });
  const { code, err } = await ctl(ledgerd.url, ['vm', 'list']);
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('cannot-connect') });
  expect(ledgerd.heard).toHaveLength(5);
});

const restarts: Route = (_, times) => {
  if (times < 8) return 'lost';
  return times < 10 ? problem(503, 'view-behind', 'later', { retryable: true }) : { body: succeeded() };
};

test('whoever waits outlives a restart of ledgerd', async () => {
  expect((await create({ status: 202, body: operation() }, { [OPERATION]: restarts })).code).toBe(0);
});

test('when ledgerd stays away, whoever waits is told that the work goes on and how to look at it', async () => {
  const { code, err } = await create({ status: 202, body: operation() }, { [OPERATION]: 'lost' });
  expect(code).toBe(6);
  expect(err).toContain('has been away for 60 s; the create goes on');
  expect(err).toContain(`next: ledgerctl operation ${OPERATION_ID} --wait goes on waiting`);
});

test('what was accepted is never said to be refused, even when ledgerd does not know it any more', async () => {
  const gone = problem(404, 'operation-unknown', 'there is none');
  const { code, err } = await create({ status: 202, body: operation() }, { [OPERATION]: gone });
  expect(code).toBe(6);
  expect(err).toContain(
    'ledgerd cannot say how it goes (operation-unknown: there is none); the create goes on',
  );
});

test('Ctrl-C ends the waiting, not the work, and says so', async () => {
  const stop = new AbortController();
  ledgerd = await fakeLedgerd({
    [CREATE]: { status: 202, body: operation() },
    [OPERATION]: (_, times) => {
      if (times === 2) stop.abort();
      return { body: operation() };
    },
  });
  const { code, err } = await ctl(ledgerd.url, ['create', VM_ID], { interrupted: stop.signal });
  expect(code).toBe(6);
  expect(err).toContain('you stopped waiting; the create goes on');
});

test('Ctrl-C before the answer to a command leaves the outcome unknown', async () => {
  const stop = new AbortController();
  ledgerd = await fakeLedgerd({
    [CREATE]: () => {
      stop.abort();
      return 'lost';
    },
  });
  expect((await ctl(ledgerd.url, ['create', VM_ID], { interrupted: stop.signal })).code).toBe(6);
  expect((await ctl(ledgerd.url, ['create', VM_ID], { interrupted: AbortSignal.abort() })).code).toBe(1);
});

test('--timeout ends the waiting', async () => {
  ledgerd = await fakeLedgerd({
    [CREATE]: { status: 202, body: operation() },
    [OPERATION]: { body: operation() },
  });
  const { code, err } = await ctl(ledgerd.url, ['create', VM_ID, '--timeout', '1.5']);
  expect(code).toBe(6);
  expect(err).toContain('the time to wait is up; the create goes on');
});

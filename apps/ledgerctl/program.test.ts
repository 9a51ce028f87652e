import { expect, test } from 'vitest';
import { conversation } from '../../test/ledgerctl/conversation.ts';
import { ctl } from '../../test/ledgerctl/ctl.ts';
import { problem, type Route } from '../../test/ledgerctl/fake-ledgerd.ts';
import { idOf, OPERATION_ID, VM_ID } from '../../test/ledgerctl/specimens.ts';

const { running } = conversation();
const SNAPSHOTS = `/v1/vms/${VM_ID}/snapshots`;

const rename = (route: Route) => running('rename web1 b c', { [`PATCH ${SNAPSHOTS}/${idOf('b')}`]: route });

test('a refusal is exit code 3, with its reason, its sentence and what to do next', async () => {
  expect(await rename(problem(409, 'name-taken', 'snapshot x is called "c" already'))).toEqual({
    code: 3,
    out: '',
    err: 'ledgerctl: name-taken: snapshot x is called "c" already\n  next: choose another name, or delete or rename who has it\n',
  });
});

test('what may succeed later is exit code 4, and names the operation to wait for', async () => {
  const busy = problem(409, 'vm-busy', 'a create is under way', {
    retryable: true,
    operationId: OPERATION_ID,
  });
  const { code, err } = await rename(busy);
  expect(code).toBe(4);
  expect(err).toContain(`next: wait for it: ledgerctl operation ${OPERATION_ID} --wait`);
  for (const reason of ['machine-busy', 'view-behind', 'host-unreachable', 'store-unavailable']) {
    expect((await rename(problem(503, reason, 'later', { retryable: true }))).code).toBe(4);
  }
});

test('no space is a refusal, a fault of ledgerd is an error, a reason of tomorrow is told as it is', async () => {
  expect((await rename(problem(507, 'no-space', 'full'))).code).toBe(3);
  expect((await rename(problem(500, 'internal', 'oops'))).code).toBe(1);
  const { code, err } = await rename(problem(409, 'of-tomorrow', 'no'));
  expect({ code, err }).toEqual({ code: 3, err: 'ledgerctl: of-tomorrow: no\n' });
});

test('--json has the problem on the standard error, exactly as it came', async () => {
  const gone = { [`GET /v1/vms/${VM_ID}`]: problem(404, 'vm-unknown', 'gone') };
  const { out, err } = await running(`vm show ${VM_ID} --json`, gone);
  expect(out).toBe('');
  expect(JSON.parse(err)).toMatchObject({ type: 'urn:snapledger:reason:vm-unknown', reason: 'vm-unknown' });
  expect(JSON.parse((await running('list db1 --json')).err)).toMatchObject({
    status: 404,
    reason: 'vm-unknown',
  });
  expect(JSON.parse((await running('lost --json')).err)).toMatchObject({ reason: 'usage' });
});

test('a refusal cannot command the terminal', async () => {
  const { err } = await rename(problem(409, 'name-taken', '\u001b[2J\u202e'));
  expect(err).toContain(String.raw`name-taken: \u001b[2J\u202e`);
});

test('what is not ledgerd is said not to be', async () => {
  for (const route of [
    { body: '<html>hello</html>' },
    { body: {} },
    { body: '[]' },
    { status: 404, body: '<html>no</html>' },
    { body: { vms: 'many' } },
  ]) {
    const { code, err } = await running('vm list', { 'GET /v1/vms': route });
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('not-ledgerd: ') });
  }
});

test('nothing at all shows the help and is exit code 2', async () => {
  const { code, out, err } = await ctl('http://127.0.0.1:1', []);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain('Usage: ledgerctl');
});

test('what is not understood is exit code 2, in one line', async () => {
  for (const words of [
    ['crate'],
    ['create'],
    ['list', 'a', 'b'],
    ['list', 'a', '--no'],
    ['vm', 'status'],
    ['create', 'a', '--disk', 'x'],
  ]) {
    const { code, out, err } = await ctl('http://127.0.0.1:1', words);
    expect({ code, out, lines: err.split('\n').length }).toEqual({ code: 2, out: '', lines: 3 });
  }
  for (const url of ['7420', 'ftp://x', 'http://x/?a=b', 'http://me:pw@x']) {
    expect((await ctl(url, ['vm', 'list'])).code).toBe(2);
  }
});

test('--version says which', async () => {
  expect(await ctl('http://127.0.0.1:1', ['--version'])).toEqual({ code: 0, out: '0.0.0\n', err: '' });
});

import { expect, test } from 'vitest';
import { conversation } from '../../../test/ledgerctl/conversation.ts';
import { problem } from '../../../test/ledgerctl/fake-ledgerd.ts';
import { idOf, snapshot, vm, VM_ID } from '../../../test/ledgerctl/specimens.ts';

const { running, lastHeard } = conversation();
const SNAPSHOTS = `/v1/vms/${VM_ID}/snapshots`;

const path = `${SNAPSHOTS}/${idOf('b')}`;
const routes = {
  [`GET ${path}`]: { body: snapshot('b', { labels: { keep: '1', drop: '2' } }), headers: { etag: '"7"' } },
  [`PATCH ${path}`]: { body: snapshot('b') },
  [`POST /v1/vms/${VM_ID}/release`]: { body: vm() },
  [`DELETE /v1/vms/${VM_ID}`]: { status: 204 },
  'POST /v1/vms': { status: 201, body: vm() },
};

test('rename, describe, protect and unprotect change one thing each', async () => {
  for (const [words, body] of [
    ['rename web1 b c', { name: 'c' }],
    ['describe web1 b text', { description: 'text' }],
    ['protect web1 b', { protected: true }],
    ['unprotect web1 b', { protected: false }],
  ] as const) {
    expect(await running(words, routes)).toMatchObject({ code: 0, err: '' });
    expect(lastHeard()).toMatchObject({ method: 'PATCH', path, body });
  }
});

test('label keeps the labels it was not told about, at the version at which it read them', async () => {
  expect((await running('label web1 b new=3 drop-', routes)).out).toBe('labelled b\n');
  expect(lastHeard()?.body).toEqual({ labels: { keep: '1', new: '3' } });
  expect(lastHeard()?.headers['if-match']).toBe('"7"');
});

test('label reads again when somebody was faster', async () => {
  const contested = {
    ...routes,
    [`PATCH ${path}`]: (_: unknown, times: number) =>
      times < 2 ? problem(412, 'stale-version', 'the VM is at version 8') : { body: snapshot('b') },
  };
  expect(await running('label web1 b new=3', contested)).toMatchObject({ code: 0 });
  expect(await running('label web1 b new=3 --if-match 7', contested)).toMatchObject({ code: 3 });
});

test('vm add says all it was told, forget and release say that it is done', async () => {
  const words =
    'vm add web1 --monitor /m.sock --host h --label a=b' +
    ' --disk device=vda,file=/a,,b.qcow2,format=qcow2,default=external';
  expect(await running(words, routes)).toMatchObject({ code: 0, out: `added web1 (${VM_ID})\n` });
  expect(lastHeard()?.body).toEqual({
    name: 'web1',
    monitor: '/m.sock',
    host: 'h',
    labels: { a: 'b' },
    disks: [{ device: 'vda', file: '/a,b.qcow2', format: 'qcow2', default: 'external' }],
  });
  expect(await running('vm forget web1', routes)).toMatchObject({ code: 0, out: 'forgot web1\n' });
  expect(await running('vm forget web1 --json', routes)).toMatchObject({ code: 0, out: '' });
  expect(await running('release web1 looked', routes)).toMatchObject({ code: 0, out: 'released web1\n' });
  expect(lastHeard()?.body).toEqual({ note: 'looked' });
});

const ofVm = {
  [`GET /v1/vms/${VM_ID}`]: { body: vm({ labels: { keep: '1', drop: '2' } }), headers: { etag: '"9"' } },
  [`PATCH /v1/vms/${VM_ID}`]: { body: vm() },
};

test('vm change sends what it was told, and nothing else', async () => {
  const words =
    'vm change web1 --name web2 --monitor /n.sock --host h --guest-agent /ga --disk vda=none --disk a=b=internal';
  expect(await running(words, ofVm)).toEqual({ code: 0, out: 'changed web1\n', err: '' });
  expect(lastHeard()).toMatchObject({ method: 'PATCH', path: `/v1/vms/${VM_ID}` });
  expect(lastHeard()?.body).toEqual({
    ...{ name: 'web2', monitor: '/n.sock', host: 'h', guestAgent: '/ga' },
    disks: [
      { device: 'vda', default: 'none' },
      { device: 'a=b', default: 'internal' },
    ],
  });
  expect(lastHeard()?.headers['if-match']).toBeUndefined();
  await running('vm change web1 --no-guest-agent --if-match 7', ofVm);
  expect(lastHeard()?.body).toEqual({ guestAgent: null });
  expect(lastHeard()?.headers['if-match']).toBe('"7"');
  const { code, out } = await running('vm change web1 --host h --json', ofVm);
  expect({ code, answer: JSON.parse(out) }).toEqual({ code: 0, answer: vm() });
});

test('vm change keeps the labels it was not told about, at the version at which it read them', async () => {
  const contested = {
    ...ofVm,
    [`PATCH /v1/vms/${VM_ID}`]: (_: unknown, times: number) =>
      times < 2 ? problem(412, 'stale-version', 'the VM is at version 10') : { body: vm() },
  };
  const { code, out } = await running('vm change web1 --label new=3 --label drop- --name w', contested);
  expect({ code, out }).toEqual({ code: 0, out: 'changed web1\n' });
  expect(lastHeard()?.body).toEqual({ name: 'w', labels: { keep: '1', new: '3' } });
  expect(lastHeard()?.headers['if-match']).toBe('"9"');
});

test('vm change without a change, or with one that is none, is wrong usage', async () => {
  for (const words of ['', '--label x', '--disk vda=maybe', '--disk vda']) {
    expect(await running(`vm change web1 ${words}`.trim(), ofVm)).toMatchObject({ code: 2, out: '' });
  }
});

test('guards and the token travel as headers', async () => {
  await running('rename web1 b c --key k1 --if-match 7 --token secret', routes);
  expect(lastHeard()?.headers).toMatchObject({
    'idempotency-key': 'k1',
    'if-match': '"7"',
    authorization: 'Bearer secret',
  });
  await running('rename web1 b c', routes, { env: { SNAPLEDGER_TOKEN: 'from-env' } });
  expect(lastHeard()?.headers['authorization']).toBe('Bearer from-env');
  expect(lastHeard()?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  for (const words of [
    'rename web1 b c --key ü',
    'rename web1 b c --if-match x',
    'list web1 --token a\u0007',
  ]) {
    expect(await running(words, routes)).toMatchObject({ code: 2 });
  }
});

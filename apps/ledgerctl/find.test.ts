import { expect, test } from 'vitest';
import { conversation } from '../../test/ledgerctl/conversation.ts';
import { idOf, snapshot, VM_ID } from '../../test/ledgerctl/specimens.ts';

const { running, heard, asked, lastHeard } = conversation();
const SNAPSHOTS = `/v1/vms/${VM_ID}/snapshots`;

test('a name is looked up, a UUID is taken for an id as it is', async () => {
  await running('vm show web1');
  expect(asked()).toEqual(['GET /v1/vms', `GET /v1/vms/${VM_ID}`]);
  expect((await running(`vm show ${VM_ID.toUpperCase()}`)).code).toBe(0);
  expect(asked()).toEqual([`GET /v1/vms/${VM_ID}`]);
});

test('a snapshot is found by its name as long as it lives, also when it is retired or pinned', async () => {
  await running('show web1 b', { [`GET ${SNAPSHOTS}/${idOf('b')}`]: { body: snapshot('b') } });
  expect(heard()[1]?.query).toEqual({
    name: 'b',
    status: 'pending,complete,deleting,retired,lost,suspect',
    implicit: 'true',
  });
});

test('a name that nobody has is unknown, and one that two have is not guessed', async () => {
  expect(await running('list db1')).toEqual({
    code: 3,
    out: '',
    err: 'ledgerctl: vm-unknown: no VM is called "db1"\n  next: ledgerctl vm list shows the VMs\n',
  });
  const twice = { [`GET ${SNAPSHOTS}`]: { body: { snapshots: [snapshot('a'), snapshot('b')] } } };
  const { code, err } = await running('load web1 a', twice);
  expect(code).toBe(3);
  expect(err).toContain(`snapshot-unknown: more than one live snapshot is called "a"`);
  expect(err).toContain(`${idOf('a')}, ${idOf('b')}`);
});

test('a name may hold anything', async () => {
  await running('list __proto__');
  expect(lastHeard()?.query).toEqual({ name: '__proto__' });
  await running(['list', '../a?b&c=ü🦆']);
  expect(lastHeard()).toMatchObject({ path: '/v1/vms', query: { name: '../a?b&c=ü🦆' } });
});

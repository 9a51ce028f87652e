import { expect, test } from 'vitest';
import { conversation } from '../../../test/ledgerctl/conversation.ts';
import {
  failed,
  idOf,
  operation,
  OPERATION_ID,
  succeeded,
  VM_ID,
} from '../../../test/ledgerctl/specimens.ts';

const { running, heard, asked, lastHeard } = conversation();
const SNAPSHOTS = `/v1/vms/${VM_ID}/snapshots`;
const OPERATION = `/v1/operations/${OPERATION_ID}`;

const accepted = { status: 202, body: operation() };

test('create waits for the end and says how the snapshot is called', async () => {
  const { code, out, err } = await running(
    'create web1 nightly --description x --label a=b --disk vda=internal --memory none --disk-only',
    {
      [`POST ${SNAPSHOTS}`]: accepted,
      [`GET ${OPERATION}`]: (_, times) => ({
        body: times < 2 ? operation({ phase: 'capturing', percent: times * 40 }) : succeeded(),
      }),
    },
  );
  expect({ code, out }).toEqual({ code: 0, out: `created nightly (${idOf('a')})\n` });
  expect(err).toBe('create: requested\ncreate: capturing 0 %\ncreate: capturing 40 %\n');
  expect(heard()[1]?.body).toEqual({
    name: 'nightly',
    description: 'x',
    labels: { a: 'b' },
    memory: 'none',
    diskOnly: true,
    disks: [{ device: 'vda', snapshot: 'internal' }],
  });
});

test('create says what goes where: disks, memory, backups, and whether the guest holds still', async () => {
  const words =
    'create web1 a --disk vda=external:/new/a,mode=existing,format=qcow2 --disk vdb=external' +
    ' --memory external --memory-file /new/m --memory-format stream --quiesce try --backup vda=/copy,sync=top,format=raw,mode=existing';
  await running(words, { [`POST ${SNAPSHOTS}`]: accepted, [`GET ${OPERATION}`]: { body: succeeded() } });
  expect(heard()[1]?.body).toEqual({
    name: 'a',
    ...{ memory: 'external', memoryFile: '/new/m', memoryFormat: 'stream', quiesce: 'try' },
    disks: [
      { device: 'vda', snapshot: 'external', file: '/new/a', format: 'qcow2', mode: 'existing' },
      { device: 'vdb', snapshot: 'external' },
    ],
    backups: [{ device: 'vda', target: '/copy', sync: 'top', format: 'raw', mode: 'existing' }],
  });
  for (const wrong of [
    '--memory disk',
    '--quiesce hard',
    '--disk vda=both',
    '--backup vda',
    '--memory-format x',
  ]) {
    expect(await running(`create web1 ${wrong}`), wrong).toMatchObject({ code: 2 });
  }
});

test('on a terminal the progress is one line that is gone in the end', async () => {
  const shown: string[] = [];
  await running(
    'create web1',
    { [`POST ${SNAPSHOTS}`]: accepted, [`GET ${OPERATION}`]: { body: succeeded() } },
    { isTerminal: true, env: { NO_COLOR: '1' }, seen: (text) => shown.push(text) },
  );
  expect(shown).toEqual(['\r\u001b[Kcreate: requested', '\r\u001b[K', `created ${idOf('a')}\n`]);
});

test('--json prints the operation as it ended, and nothing else anywhere', async () => {
  const routes = { [`POST ${SNAPSHOTS}`]: accepted, [`GET ${OPERATION}`]: { body: succeeded() } };
  const { code, out, err } = await running('create web1 --json', routes);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(out)).toEqual(succeeded());
});

test('--no-wait returns as soon as it is accepted', async () => {
  const { code, out } = await running('create web1 a --no-wait', { [`POST ${SNAPSHOTS}`]: accepted });
  expect({ code, out }).toEqual({
    code: 0,
    out: `create of a (${idOf('a')}) accepted: operation ${OPERATION_ID}\n`,
  });
  expect(asked()).not.toContain(`GET ${OPERATION}`);
});

test('what failed and was undone is exit code 5', async () => {
  const routes = { [`POST ${SNAPSHOTS}`]: accepted, [`GET ${OPERATION}`]: { body: failed('failed') } };
  const { code, out, err } = await running('create web1', routes);
  expect({ code, out }).toEqual({ code: 5, out: '' });
  expect(err).toContain(
    'create failed: refused-by-qemu: Device vdb is raw\n  everything is as it was before\n  next: ',
  );
});

test('what needs an operator is exit code 6, and says what is left', async () => {
  const leftovers = [
    { device: 'vdb', file: '/b.qcow2', tag: 'sl-1', why: 'QEMU is gone' },
    { device: 'vdc', file: '/c.qcow2', tag: '', why: 'the image is damaged' },
  ];
  const { code, err } = await running('create web1', {
    [`POST ${SNAPSHOTS}`]: accepted,
    [`GET ${OPERATION}`]: { body: failed('needs-operator', { leftovers }) },
  });
  expect(code).toBe(6);
  expect(err).toContain('create needs an operator: refused-by-qemu: Device vdb is raw\n');
  expect(err).toContain('  left on vdb: sl-1 in /b.qcow2 (QEMU is gone)\n');
  expect(err).toContain('  to be repaired on vdc: /c.qcow2 (the image is damaged)\n');
});

test('load and delete name what they do to which snapshot', async () => {
  const loads = { [`POST ${SNAPSHOTS}/${idOf('b')}/load`]: { body: succeeded({ kind: 'load' }) } };
  expect((await running('load web1 b --then paused --disks-only', loads)).out).toBe('loaded b\n');
  expect(lastHeard()?.body).toEqual(JSON.parse('{"then":"paused","disksOnly":true}'));
  await running('load web1 b --safety memory', loads);
  expect(lastHeard()?.body).toEqual({ safety: 'memory' });
  expect(await running('load web1 b --safety all')).toMatchObject({ code: 2 });
  const deletes = { [`DELETE ${SNAPSHOTS}/${idOf('b')}`]: { body: succeeded({ kind: 'delete' }) } };
  expect((await running('delete web1 b --merge-force', deletes)).out).toBe('deleted b\n');
  expect(lastHeard()?.query).toEqual({ strategy: 'merge-force' });
});

test('delete without a strategy retires, delete --all deletes all', async () => {
  const retires = { [`DELETE ${SNAPSHOTS}/${idOf('b')}`]: { body: succeeded({ kind: 'retire' }) } };
  expect((await running('delete web1 b', retires)).out).toBe('retired b\n');
  expect(lastHeard()?.query).toEqual({});
  const all = { [`DELETE ${SNAPSHOTS}`]: { body: succeeded({ kind: 'delete', snapshotId: null }) } };
  expect((await running('delete web1 --all', all)).out).toBe('deleted all snapshots of web1\n');
});

test('strategies exclude each other, and something must be named', async () => {
  for (const words of [
    'delete web1 b --merge --discard',
    'delete web1 --all --discard',
    'delete web1',
    'delete web1 b --all',
  ]) {
    expect(await running(words)).toMatchObject({ code: 2, out: '' });
    expect(asked()).toEqual([]);
  }
});

test('operation shows an operation, and with --wait its end decides the exit code', async () => {
  const routes = { [`GET ${OPERATION}`]: { body: failed('failed') } };
  expect(await running(`operation ${OPERATION_ID}`, routes)).toMatchObject({ code: 0, err: '' });
  expect(await running(`operation ${OPERATION_ID} --wait`, routes)).toMatchObject({ code: 5 });
  expect(await running('operation nightly')).toMatchObject({ code: 2 });
});

test('operation --cancel cancels', async () => {
  const routes = { [`POST ${OPERATION}/cancel`]: { body: failed('failed') } };
  expect(await running(`operation ${OPERATION_ID} --cancel`, routes)).toMatchObject({ code: 0 });
  expect(asked()).toEqual([`POST ${OPERATION}/cancel`]);
});

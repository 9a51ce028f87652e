import { expect, test } from 'vitest';
import { conversation } from '../../../test/ledgerctl/conversation.ts';
import { problem } from '../../../test/ledgerctl/fake-ledgerd.ts';
import {
  idOf,
  operation,
  OPERATION_ID,
  snapshot,
  succeeded,
  vm,
  VM_ID,
} from '../../../test/ledgerctl/specimens.ts';

const { running, asked, heard, lastHeard } = conversation();
const RECONCILE = `POST /v1/vms/${VM_ID}/reconcile`;
const drift = (...findings: object[]) => ({ body: { vmId: VM_ID, stopped: false, findings, unlisted: 0 } });
const lost = { kind: 'missing', snapshotId: idOf('a'), message: 'nothing is left of "a"', evidence: [] };
const foreign = {
  ...{ kind: 'foreign', tag: 'old', message: '"old" on disk "vda" is not of this ledger' },
  evidence: [
    {
      ...{ device: 'vda', file: '/images/a.qcow2', tag: 'old', nativeId: '1' },
      ...{ date: 0, vmClockNs: 0, vmStateSizeBytes: 7 },
    },
  ],
};

test('doctor says that nothing is wrong, and ends with 0', async () => {
  const { code, out } = await running('doctor web1', { [RECONCILE]: drift() });
  expect({ code, out }).toEqual({ code: 0, out: 'web1: nothing is wrong\n' });
});

test('doctor shows what was found, what was seen and what to do, and ends with 6', async () => {
  const { code, out } = await running('doctor', { [RECONCILE]: drift(lost, foreign) });
  expect(code).toBe(6);
  expect(out).toContain('web1: 2 findings\n  missing: nothing is left of "a"\n    next: put its files back');
  expect(out).toContain(
    '    seen: old on vda (/images/a.qcow2): id 1, 1970-01-01 00:00:00Z, 7 bytes of memory\n',
  );
  expect(out).toContain('    next: make a snapshot of it: ledgerctl adopt VM TAG');
});

test('doctor goes on when one machine cannot be looked at', async () => {
  const { code, out } = await running('doctor', {
    [RECONCILE]: problem(503, 'host-unreachable', 'nobody listens'),
  });
  expect({ code, out }).toEqual({ code: 6, out: 'web1: host-unreachable: nobody listens\n' });
});

test('doctor --json keeps what it could not look at out of what it has seen', async () => {
  const { code, out, err } = await running('doctor --json', {
    [RECONCILE]: problem(503, 'host-unreachable', 'nobody listens'),
  });
  expect({ code, out }).toEqual({ code: 6, out: '' });
  expect(JSON.parse(err)).toMatchObject({ reason: 'host-unreachable' });
});

test('doctor goes on when one machine cannot be mended', async () => {
  const { code, out } = await running('doctor --repair --yes', {
    [RECONCILE]: drift(lost),
    [`DELETE /v1/vms/${VM_ID}/snapshots/${idOf('a')}`]: problem(409, 'protected', 'it is protected'),
  });
  expect(code).toBe(6);
  expect(out).toContain('web1: protected: it is protected\n');
});

test('doctor --repair only says what it would forget, until it is told --yes', async () => {
  const path = `DELETE /v1/vms/${VM_ID}/snapshots/${idOf('a')}`;
  const routes = {
    [RECONCILE]: drift(lost, foreign),
    [path]: { status: 202, body: succeeded({ kind: 'delete' }) },
  };
  const first = await running('doctor web1 --repair', routes);
  expect(first.err).toContain(`would forget ${idOf('a')}`);
  expect(asked()).not.toContain(path);
  await running('doctor web1 --repair --yes', routes);
  expect(heard()).toContainEqual(expect.objectContaining({ method: 'DELETE', query: { strategy: 'merge' } }));
  expect((await running('doctor web1 --yes', routes)).code).toBe(2);
});

const orphan = { kind: 'orphan', file: '/images/sl-x', message: 'nobody explains it', evidence: [] };
const REPAIR = `POST /v1/vms/${VM_ID}/repair`;
const plan = { hash: 'h', commands: ['unlink /images/sl-x'], filesUnlinked: ['/images/sl-x'] };
const left = { file: '/images/sl-y', why: 'QEMU has it open' };

test('doctor --repair says what it would remove, removes just that with --yes, and looks whether all is well', async () => {
  const told = { vmId: VM_ID, plan, removed: [], left: [] };
  const first = await running('doctor web1 --repair', {
    [RECONCILE]: drift(orphan),
    [REPAIR]: { body: told },
  });
  expect(first.err).toContain('would unlink /images/sl-x; say --yes to do it');
  expect(first.code).toBe(6);
  expect(lastHeard()).toMatchObject({ query: { validateOnly: 'true' } });
  const { code, out } = await running('doctor web1 --repair --yes', {
    [RECONCILE]: (_, times) => drift(...(times === 0 ? [orphan] : [])),
    [REPAIR]: { body: { ...told, removed: [{ file: '/images/sl-x' }] } },
  });
  expect(code).toBe(0);
  expect(out).toMatch(/1 finding\n[^]*removed \/images\/sl-x\nweb1: nothing is wrong\n$/);
  expect(heard()).toContainEqual(expect.objectContaining({ body: { planHash: 'h' } }));
});

test('doctor --repair ends with 6 and says why when something is left', async () => {
  const { code, out } = await running('doctor web1 --repair --yes', {
    [RECONCILE]: drift(orphan, foreign),
    [REPAIR]: { body: { vmId: VM_ID, plan, removed: [], left: [left] } },
  });
  expect(code).toBe(6);
  expect(out).toContain('not removed: /images/sl-y: QEMU has it open\n');
});

test('adopt names what became a snapshot, and what did not', async () => {
  const adopted = {
    snapshots: [snapshot('old')],
    left: [{ ...foreign, message: '"half" is on "vda" only' }],
  };
  const { code, out } = await running('adopt web1 old', {
    [`POST /v1/vms/${VM_ID}/adopt`]: { body: adopted },
  });
  expect(code).toBe(0);
  expect(out).toBe(`adopted old (${idOf('o')})\nnot adopted: "half" is on "vda" only\n`);
  expect(lastHeard()?.body).toEqual({ names: ['old'] });
});

test('vm launch prints the disks as QEMU and a shell read them', async () => {
  const disks = [
    { device: 'vda', node: 'da', format: 'qcow2', file: '/images/sl-1,2.qcow2', default: 'internal' },
    {
      device: '#block7',
      node: '#block7',
      format: 'raw',
      file: "/images/it's.img",
      default: null,
      readOnly: true,
    },
  ];
  const { out } = await running('vm launch web1', { [`GET /v1/vms/${VM_ID}`]: { body: vm({ disks }) } });
  expect(out).toBe(
    [
      '-blockdev driver=qcow2,node-name=da,file.driver=file,file.filename=/images/sl-1,,2.qcow2 \\',
      '-device virtio-blk-pci,drive=da,id=vda \\',
      String.raw`-blockdev 'driver=raw,node-name=disk-1,file.driver=file,file.filename=/images/it'\''s.img,read-only=on' ` +
        '\\',
      '-device virtio-blk-pci,drive=disk-1',
      '',
    ].join('\n'),
  );
});

test.each(['create', 'delete'])(
  'vm launch names no disks while a %s is open, unless told to',
  async (kind) => {
    const routes = {
      [`GET /v1/vms/${VM_ID}`]: { body: vm({ operationId: OPERATION_ID }) },
      [`GET /v1/operations/${OPERATION_ID}`]: { body: operation({ kind }) },
    };
    const { out, err, code } = await running('vm launch web1', routes);
    expect({ out, code }).toEqual({ out: '', code: 4 });
    expect(err).toContain(`a ${kind} is open on the machine`);
    expect(err).toContain(`ledgerctl operation ${OPERATION_ID} --wait`);
    expect((await running('vm launch web1 --anyway', routes)).out).toContain('/images/a.qcow2');
  },
);

test('vm launch names the disks while a load is open, which may wait for the machine, and says so', async () => {
  const { out, err } = await running('vm launch web1', {
    [`GET /v1/vms/${VM_ID}`]: { body: vm({ operationId: OPERATION_ID }) },
    [`GET /v1/operations/${OPERATION_ID}`]: { body: operation({ kind: 'load' }) },
  });
  expect(out).toContain('/images/a.qcow2');
  expect(err).toContain('a load is open on the machine');
});

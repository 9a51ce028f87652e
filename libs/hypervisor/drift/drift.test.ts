import { evolve, type Finding, unborn, type Vm, type VmEvent } from '#ledger';
import { describe, expect, test } from 'vitest';
import { driftOf, type Looked } from './drift.ts';
import type { FileSight } from './drift-of-snapshot.ts';
import type { SeenDisk, SeenTag, Sight } from '../look/sight.ts';

const ID = '3fab28c9-a6bd-4659-b9bc-683780d8a2d5';
const TAG = `sl-${ID}`;

const told = (vm: Vm, type: VmEvent['type'], data: object): Vm =>
  evolve(vm, { type, data, id: 'e' } as VmEvent & { id: string });

/** A machine with one disk, and a snapshot of it on the layer below, or inside. */
function machine(mode: 'internal' | 'external'): Vm {
  const disk = { device: 'vda', node: 'a', format: 'qcow2', file: '/i/a', readOnly: false, default: mode };
  const vm = told(unborn(), 'VmRegistered', { name: 'web', disks: [disk], foreignTags: [], vmId: 'vm' });
  const of = { snapshotId: ID, operationId: 'o' };
  told(vm, 'SnapshotRequested', { ...of, name: 'first', parentId: null, disks: [{ device: 'vda', mode }] });
  const layer = {
    device: 'vda',
    file: `/i/${TAG}-1.qcow2`,
    format: 'qcow2',
    backing: '/i/a',
    origin: 'ours',
  };
  const layers = {
    set: [layer],
    gone: [],
    tops: [{ device: 'vda', node: 'n', file: layer.file, format: 'qcow2' }],
    contents: [{ snapshotId: ID, device: 'vda', file: '/i/a' }],
  };
  return told(vm, 'SnapshotCreated', {
    ...{ ...of, vmState: 'running', memory: { mode: 'none' }, consistency: 'crash' },
    evidence:
      mode === 'internal'
        ? [{ device: 'vda', file: '/i/a', tag: TAG, nativeId: '1', date: 5, vmClockNs: 6 }]
        : [],
    ...(mode === 'external' && { layers }),
  });
}

const tagged = (tag: string, more: Partial<SeenTag> = {}): SeenTag => ({
  ...{ tag, nativeId: '1', dateMs: 5, vmClockNs: 6, vmStateSizeBytes: 0, isListed: true },
  ...more,
});

const seen = (file: string, more: Partial<SeenDisk> = {}): SeenDisk => ({
  ...{
    device: 'vda',
    node: 'a',
    format: 'qcow2',
    file,
    path: file,
    readOnly: false,
    tags: [],
    backing: null,
  },
  ...{ hasDirtyBitmaps: false, virtualSizeBytes: 1, freeBytes: null, qdev: null },
  ...more,
});

const sightOf = (disks: SeenDisk[], power: Sight['power'] = 'running'): Sight => ({
  ...{ power, runState: power === 'off' ? null : power, disks, busyWith: null, ownJobs: [] },
});

const looked = (sight: Sight, files: Record<string, FileSight> = {}, strays: string[] = []): Looked => ({
  ...{ sight, files: new Map(Object.entries(files)), strays },
});

const kindsOf = (findings: readonly Finding[]): string[] => findings.map(({ kind }) => kind);

const lookInside = (...tags: SeenTag[]) =>
  driftOf(machine('internal'), looked(sightOf([seen('/i/a', { tags })])));

describe('a machine that a load has left in its middle', () => {
  const closed = sightOf([seen('', { node: 'sl6ea97072a678ea0b70f3959d-p0' })], 'paused');

  test('is the business of whoever it is held for', () => {
    const vm = machine('external');
    vm.hold = { operationId: 'o', reason: '', message: '', leftovers: [], isTorn: true };
    expect(kindsOf(driftOf(vm, looked(closed)))).not.toContain('config-changed');
  });

  test('and that somebody has released is told of: what its guest writes is lost', () => {
    const findings = driftOf(machine('external'), looked(closed));
    expect(findings).toContainEqual(expect.objectContaining({ kind: 'config-changed', device: 'vda' }));
  });
});

describe('a snapshot inside a disk', () => {
  test('is as it was left, or is not there, or is there twice', () => {
    expect(lookInside(tagged(TAG))).toEqual([]);
    expect(kindsOf(lookInside())).toEqual(['missing']);
    expect(kindsOf(lookInside(tagged(TAG), tagged(TAG, { nativeId: '2' })))).toEqual(['duplicate']);
  });

  test('is known again by number and time together, never by one of them alone', () => {
    expect(kindsOf(lookInside(tagged('other')))).toEqual(['renamed']);
    expect(kindsOf(lookInside(tagged('other', { nativeId: '2' })))).toEqual(['missing', 'foreign']);
    expect(kindsOf(lookInside(tagged('other', { dateMs: 4 })))).toEqual(['missing', 'foreign']);
  });

  test('is not what somebody has made anew under its tag', () => {
    expect(kindsOf(lookInside(tagged(TAG, { dateMs: 99 })))).toEqual(['partial']);
  });

  test('of an unknown life of the machine is foreign, of a known one an orphan', () => {
    const old = `sl-${ID.replace('3', '4')}`;
    expect(kindsOf(lookInside(tagged(TAG), tagged(old)))).toEqual(['foreign']);
    const vm = machine('internal');
    vm.snapshots.delete(ID);
    const sight = sightOf([seen('/i/a', { tags: [tagged(TAG)] })]);
    expect(kindsOf(driftOf(vm, looked(sight, {}, [`/i/${TAG}-1.qcow2`])))).toEqual(['orphan', 'orphan']);
    const left = { device: 'vda', file: '/i/a', tag: TAG, why: '' };
    vm.hold = { operationId: 'o', reason: '', message: '', leftovers: [left], isTorn: false };
    expect(driftOf(vm, looked(sight))).toEqual([]); // It has an owner.
  });

  test('of a disk that is off and must not be written nothing is known', () => {
    const sight = sightOf([seen('/i/a', { readOnly: true })], 'off');
    expect(driftOf(machine('internal'), looked(sight))).toEqual([]);
  });

  test('is not looked for while it is being made or deleted', () => {
    const vm = machine('internal');
    for (const status of ['pending', 'deleting'] as const) {
      const snapshot = vm.snapshots.get(ID);
      if (snapshot) snapshot.status = status;
      expect(driftOf(vm, looked(sightOf([seen('/i/a')])))).toEqual([]);
    }
  });
});

describe('a frozen layer', () => {
  const top = seen(`/i/${TAG}-1.qcow2`, { backing: '/i/a' });
  const look = (below: FileSight, sight = sightOf([top])) =>
    driftOf(machine('external'), looked(sight, { '/i/a': below }));

  test('is as it was left, or is gone; of one that cannot be read nothing follows', () => {
    expect(look({ kind: 'seen', tags: [], backing: null })).toEqual([]);
    expect(look({ kind: 'there' })).toEqual([]);
    expect(kindsOf(look({ kind: 'gone' }))).toEqual(['missing']);
  });

  test('that a machine writes on is a wrong chain, and what was read from it is spoiled', () => {
    const findings = look({ kind: 'there' }, sightOf([seen('/i/a')]));
    expect(findings).toMatchObject([
      { kind: 'wrong-chain', device: 'vda', file: '/i/a' },
      { kind: 'wrong-chain', snapshotId: ID },
    ]);
    expect(findings[0]?.message).toContain(`/i/${TAG}-1.qcow2`);
    expect(findings[0]?.message).toContain('ledgerctl vm launch web');
  });

  test('that a machine stands on without having run is not spoiled', () => {
    const still = { ...sightOf([seen('/i/a')], 'paused'), runState: 'prelaunch' };
    expect(kindsOf(look({ kind: 'there' }, still))).toEqual(['wrong-chain']);
  });

  test('stays spoiled when the machine stands right again', () => {
    const vm = machine('external');
    vm.drift = driftOf(vm, looked(sightOf([seen('/i/a')])));
    expect(driftOf(vm, looked(sightOf([top])))).toEqual([vm.drift[1]]);
  });

  test('is another one under the top: the machine is on a wrong chain', () => {
    expect(kindsOf(look({ kind: 'there' }, sightOf([{ ...top, backing: '/i/b' }])))).toContain('wrong-chain');
    expect(look({ kind: 'there' }, sightOf([{ ...top, backing: 'nbd://x' }]))[0]?.kind).not.toBe(
      'wrong-chain',
    );
  });

  test('nobody is blamed for another disk that came with the machine', () => {
    expect(kindsOf(look({ kind: 'there' }, sightOf([seen('/elsewhere')])))).toEqual([]);
  });

  test('nor for the files of a machine that is off', () => {
    expect(look({ kind: 'there' }, sightOf([top], 'off'))).toEqual([]);
  });
});

test('a disk that is not there any more is told, with those that cannot be loaded without it', () => {
  const [first] = driftOf(machine('external'), looked(sightOf([]), { '/i/a': { kind: 'there' } }));
  expect(first).toMatchObject({ kind: 'config-changed', device: 'vda' });
  expect(first?.message).toContain('"first" cannot be loaded');
});

test('a disk that many snapshots name is told in one sentence that does not grow with them', () => {
  const vm = machine('external');
  const [one] = vm.snapshots.values();
  const names = Array.from({ length: 100 }, (_, n) => `s${n}`);
  for (const name of names) if (one) vm.snapshots.set(name, { ...one, id: name, name });
  const [first] = driftOf(vm, looked(sightOf([]), { '/i/a': { kind: 'there' } }));
  expect(first?.message).toMatch(/"first", "s0", "s1", "s2", "s3" and 96 more cannot be loaded without it$/);
});

import { type PlannedLayer, type Snapshot, unborn, type Vm } from '#ledger';
import { expect, test } from 'vitest';
import { whatBecomesFree } from './load-aftermath.ts';

const disk = { device: 'vda', node: 'n', format: 'qcow2', readOnly: false, default: 'internal' as const };

/** A machine on the first of these layers, each of which stands on the next; the last one came with it. */
function machine(files: readonly string[], snapshots: readonly Snapshot[]): Vm {
  const vm = { ...unborn(), disks: [{ ...disk, file: files[0] ?? '' }] };
  for (const [at, file] of files.entries()) {
    const backing = files[at + 1] ?? null;
    vm.layers.set(file, {
      device: 'vda',
      file,
      format: 'qcow2',
      backing,
      origin: backing ? 'ours' : 'given',
    });
  }
  for (const snapshot of snapshots) vm.snapshots.set(snapshot.id, snapshot);
  return vm;
}

const snapshot = (id: string, mode: 'internal' | 'external', file: string): Snapshot => ({
  id,
  name: id,
  description: '',
  labels: {},
  parentId: null,
  status: 'complete',
  isProtected: false,
  vmState: 'running',
  memory: { mode: 'none' },
  implicit: false,
  disks: [{ device: 'vda', mode, file }],
  evidence: [],
});

const pin = (...args: Parameters<typeof snapshot>): Snapshot => ({ ...snapshot(...args), implicit: true });

/** A load of `id`, which puts a new top on this layer, or leaves the disk where it is. */
function freeAfter(
  vm: Vm,
  id: string,
  on: string | null,
  newPin?: string,
): [files: string[], pins: string[]] {
  const top: PlannedLayer = {
    device: 'vda',
    file: 'new',
    format: 'qcow2',
    backing: on,
    node: 'x',
    by: 'create',
  };
  const wish = newPin === undefined ? {} : { pin: { snapshotId: newPin, what: 'disks' as const } };
  const request = {
    snapshotId: id,
    operationId: 'op',
    resume: 'as-captured' as const,
    disksOnly: false,
    ...wish,
  };
  const free = whatBecomesFree(vm, { snapshotId: id, request }, { tops: on === null ? [] : [top] });
  return [[...free.files], free.pins.map((one) => one.id)];
}

test('a top that is left goes when no snapshot is in it', () => {
  expect(freeAfter(machine(['top', 'base'], [snapshot('s', 'external', 'base')]), 's', 'base')).toEqual([
    ['top'],
    [],
  ]);
});

test('a top that is left stays when a snapshot is in it', () => {
  const vm = machine(['top', 'base'], [snapshot('s', 'external', 'base'), snapshot('t', 'internal', 'top')]);
  expect(freeAfter(vm, 's', 'base')).toEqual([[], []]);
});

test('a top that is left stays when it is what the load saves of the present', () => {
  expect(freeAfter(machine(['top', 'base'], [snapshot('s', 'external', 'base')]), 's', 'base', 'p')).toEqual([
    [],
    [],
  ]);
});

test('what came with the machine stays', () => {
  expect(freeAfter(machine(['base'], []), 's', 'base')).toEqual([[], []]);
});

test('an earlier pin goes, and with it the layer that only it needed', () => {
  const vm = machine(['top', 'base'], [snapshot('s', 'external', 'base'), pin('old', 'external', 'left')]);
  vm.layers.set('left', { device: 'vda', file: 'left', format: 'qcow2', backing: 'base', origin: 'ours' });
  expect(freeAfter(vm, 's', 'base', 'p')).toEqual([['left'], ['old']]);
});

test('the newest pin stays while no other one replaces it', () => {
  const vm = machine(['base'], [pin('older', 'internal', 'base'), pin('newest', 'internal', 'base')]);
  expect(freeAfter(vm, 's', null)).toEqual([[], ['older']]);
});

test('a pin that is loaded stays: the present descends from it', () => {
  expect(freeAfter(machine(['base'], [pin('old', 'internal', 'base')]), 'old', null, 'p')).toEqual([[], []]);
});

test('a pin that somebody has protected stays', () => {
  const vm = machine(['base'], [{ ...pin('old', 'internal', 'base'), isProtected: true }]);
  expect(freeAfter(vm, 's', null, 'p')).toEqual([[], []]);
});

test('a pin whose tag is buried under layers that are needed stays', () => {
  const vm = machine(
    ['top', 'mid', 'base'],
    [snapshot('s', 'external', 'mid'), pin('old', 'internal', 'base')],
  );
  expect(freeAfter(vm, 's', 'mid', 'p')).toEqual([[], []]);
});

test('the memory of a pin goes with it', () => {
  const old: Snapshot = { ...pin('old', 'internal', 'base'), memory: { mode: 'internal', file: 'memory' } };
  expect(freeAfter(machine(['base'], [old]), 's', null, 'p')).toEqual([['memory'], ['old']]);
});

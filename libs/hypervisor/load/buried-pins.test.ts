import { type Layer, type Snapshot, tagOf } from '#ledger';
import { expect, test } from 'vitest';
import { tagsInside, withoutStaying } from './buried-pins.ts';

const layer = (device: string, file: string, backing: string | null): [string, Layer] => [
  file,
  { device, file, format: 'qcow2', backing, origin: backing === null ? 'given' : 'ours' },
];

const layers = new Map([
  layer('vda', 'a', null),
  layer('vda', 'a1', 'a'),
  layer('vda', 'a2', 'a1'),
  layer('vdb', 'b', null),
  layer('vdb', 'b1', 'b'),
]);

const pin = (...disks: readonly Snapshot['disks'][number][]): Snapshot => ({
  ...{ id: 'p', name: 'p', description: '', labels: {}, parentId: null, status: 'complete' },
  ...{ isProtected: false, vmState: 'running', memory: { mode: 'none' }, implicit: true, disks },
  evidence: disks.flatMap(({ device, mode, file }) =>
    mode === 'internal' && file !== undefined
      ? { device, file, tag: tagOf('p'), nativeId: '1', date: 5, vmClockNs: 6, vmStateSizeBytes: 0 }
      : [],
  ),
});

/** One disk has its old top kept as it is, the other one a tag inside. */
const mixed = pin(
  { device: 'vda', mode: 'external', file: 'a2' },
  { device: 'vdb', mode: 'internal', file: 'b1' },
);

test('a pin stays with the layer that its tag stands in', () => {
  expect(withoutStaying({ layers }, [mixed], { gone: [], staying: ['a2', 'b1'] })).toEqual([]);
});

test('a pin goes with the layers that it lies in', () => {
  expect(withoutStaying({ layers }, [mixed], { gone: ['a2', 'b1'], staying: [] })).toEqual([mixed]);
});

test('a pin goes that has no tag in a layer that stays', () => {
  const frozen = pin({ device: 'vda', mode: 'external', file: 'a2' });
  expect(withoutStaying({ layers }, [frozen], { gone: [], staying: ['a2'] })).toEqual([frozen]);
});

test.each([
  ['a layer of it', ['a2']],
  ['what a layer of it stands on', ['a1']],
])('a pin does not stay when %s is gone, and its tag is told', (_, gone) => {
  expect(withoutStaying({ layers }, [mixed], { gone, staying: ['b1'] })).toEqual([mixed]);
  expect(tagsInside(mixed, ['b1'])).toMatchObject([
    { kind: 'orphan', device: 'vdb', file: 'b1', tag: tagOf('p'), evidence: mixed.evidence },
  ]);
});

test('a pin does not stay when it was taken off another disk, which has it on top', () => {
  const tagged = pin(
    { device: 'vda', mode: 'internal', file: 'a2' },
    { device: 'vdb', mode: 'internal', file: 'b1' },
  );
  expect(withoutStaying({ layers }, [tagged], { gone: [], staying: ['b1'] })).toEqual([tagged]);
});

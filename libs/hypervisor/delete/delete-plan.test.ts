import { expect, test } from 'vitest';
import type { Layer, Vm } from '#ledger';
import { isLossy, planDelete } from './delete-plan.ts';

const layer = (file: string, backing: string | null, origin: Layer['origin']): Layer => {
  return { device: 'dev-da', file, format: 'qcow2', backing, origin };
};

const snapshotIn = (id: string, file: string) => {
  return [
    id,
    { id, parentId: null, disks: [{ device: 'dev-da', mode: 'external', file }], memory: {}, evidence: [] },
  ];
};

test('what goes is unlinked top first, whether it was copied away or nobody needs it', () => {
  const layers = [
    layer('G', null, 'given'),
    layer('M', 'G', 'ours'),
    layer('U', 'M', 'ours'),
    layer('T', 'M', 'ours'),
  ];
  const vm = {
    layers: new Map(layers.map((one) => [one.file, one])),
    snapshots: new Map([snapshotIn('m', 'M'), snapshotIn('u', 'U')] as never),
    disks: [{ device: 'dev-da', file: 'T', format: 'qcow2' }],
    backups: [],
  } as unknown as Vm;
  const merge = { kind: 'delete', snapshotId: 'm', strategy: 'merge-force', targets: ['m', 'u'] } as never;
  expect(planDelete(vm, merge).unlinks).toEqual(['U', 'M']);
});

const tagIn = (file: string) => ({ tags: [{ device: 'dev-da', file, tag: 'sl-t' }] });

test('a copy upwards takes from the tags inside the layer what they read below it, and from nobody else', () => {
  const pull = {
    how: 'pull',
    into: layer('T', 'M', 'ours'),
    run: [layer('M', 'G', 'ours')],
    base: null,
  } as const;
  expect(isLossy(pull, tagIn('T'))).toBe(true);
  expect(isLossy(pull, tagIn('G'))).toBe(false);
});

import { describe, expect, test } from 'vitest';
import { RegistryEvent, VmEvent } from './events.ts';
import { MalformedEvent, readRegistryEvent, readVmEvent, SCHEMA_VERSION, UnknownEvent } from './read.ts';

const labelled = { snapshotId: 'a', labels: { k: 'v' } };

describe('what stands in the log', () => {
  test('is read as it was written', () => {
    expect(readVmEvent('SnapshotLabelled', SCHEMA_VERSION, labelled)).toEqual({
      type: 'SnapshotLabelled',
      data: labelled,
    });
  });

  test('of a newer program stops whoever reads it: nothing is skipped', () => {
    expect(() => readVmEvent('SnapshotPainted', '1', {})).toThrow(UnknownEvent);
    expect(() => readVmEvent('SnapshotLabelled', '2', labelled)).toThrow(UnknownEvent);
    expect(() => readRegistryEvent('VmPainted', '1', {})).toThrow(UnknownEvent);
    expect(() => readRegistryEvent('ClaimReleased', '2', { vmId: 'vm' })).toThrow(UnknownEvent);
  });

  test('is not mistaken for what every object has', () => {
    for (const type of ['constructor', '__proto__', 'toString', '']) {
      expect(() => readVmEvent(type, '1', {})).toThrow(UnknownEvent);
    }
  });

  test('belongs to its stream: the registry knows no snapshots, a VM no claims', () => {
    expect(() => readRegistryEvent('SnapshotLabelled', SCHEMA_VERSION, labelled)).toThrow(UnknownEvent);
    expect(() => readVmEvent('ClaimReleased', SCHEMA_VERSION, { vmId: 'vm' })).toThrow(UnknownEvent);
  });

  test('in another shape than its type promises is damage', () => {
    const shapes: unknown[] = [
      {},
      null,
      undefined,
      'text',
      [],
      { ...labelled, labels: { k: 1 } },
      { snapshotId: 'a' },
    ];
    for (const data of shapes) {
      expect(() => readVmEvent('SnapshotLabelled', SCHEMA_VERSION, data)).toThrow(MalformedEvent);
    }
    expect(() => readRegistryEvent('ClaimReleased', SCHEMA_VERSION, { vmId: 7 })).toThrow(MalformedEvent);
  });
});

test('a type means one thing, whichever stream it stands in', () => {
  const types = [...VmEvent.options, ...RegistryEvent.options].map(({ shape }) => shape.type.value);
  expect(types.filter((type, at) => types.indexOf(type) !== at)).toEqual([]);
});

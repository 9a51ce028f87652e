import { describe, expect, test } from 'vitest';
import { create, rename } from './story/commands.ts';
import {
  createFailed,
  disk,
  merged,
  RAW,
  registered,
  renamed,
  requested,
  retired,
  taken,
  takenOutside,
  VDA,
  VDB,
} from './story/events.ts';
import { given, lineageOf, refusalOf } from './story/given.ts';

const only = (mode: 'none' | 'internal' | 'external', device = 'vda') => [{ device, mode }];

describe('what is asked for is what is recorded:', () => {
  test('a wish for the memory is recorded, and so is the absence of one', () => {
    given()
      .when(create('a', { memory: 'none', diskOnly: true, description: 'why', labels: { k: 'v' } }))
      .records(
        requested('a', null, { memory: 'none', diskOnly: true, description: 'why', labels: { k: 'v' } }),
      );
    expect(given(requested('a')).vm.operation).not.toHaveProperty('request.memory');
  });

  test('a snapshot lives from the moment it is asked for', () => {
    const { vm } = given(taken('a'), requested('b', 'a'));
    expect(vm.snapshots.get('b')).toMatchObject({ status: 'pending', parentId: 'a' });
  });

  test('a failed create leaves no snapshot, and the name is free again', () => {
    expect(lineageOf(given(requested('a'), createFailed('a')).vm)).toEqual({});
    given(requested('a'), createFailed('a'))
      .when(create('b', { name: 'a' }))
      .records(requested('b', null, { name: 'a' }));
  });
});

describe('the disks of a create:', () => {
  test('a disk that the VM does not have is refused', () => {
    given()
      .when(create('a', { disks: only('internal', 'vdz') }))
      .refuses('disk-unsupported');
  });

  test('a disk whose name every object has is refused too', () => {
    given()
      .when(create('a', { disks: only('internal', 'constructor') }))
      .refuses('disk-unsupported');
  });

  test('a disk that is named twice is refused, even when both say the same', () => {
    given()
      .when(create('a', { disks: [...only('internal'), ...only('internal')] }))
      .refuses('invalid-combination');
  });

  test('a read-only disk is not captured unless named, and refused when named', () => {
    const cd = disk('cd', { readOnly: true });
    given(registered({ disks: [VDA, VDB, cd] }))
      .when(create('a'))
      .records(requested('a'));
    given(registered({ disks: [VDA, VDB, cd] }))
      .when(create('a', { disks: only('internal', 'cd') }))
      .refuses('disk-unsupported');
  });

  test('a disk that cannot hold snapshots and has no default is refused with the advice what to say', () => {
    const refusal = refusalOf(create('a'), given(registered({ disks: [VDA, RAW] })).vm);
    expect(refusal.code).toBe('disk-unsupported');
    expect(refusal.message).toContain('disk "raw" is raw: say "external" or "none" for it');
  });

  test('a disk that cannot hold snapshots is refused when asked to', () => {
    given(registered({ disks: [VDA, RAW] }))
      .when(create('a', { disks: only('internal', 'raw') }))
      .refuses('disk-unsupported');
  });

  test('a disk that cannot hold snapshots may be left out by name or by default', () => {
    const disks = [...only('internal'), ...only('none', 'raw')];
    given(registered({ disks: [VDA, RAW] }))
      .when(create('a', { disks: only('none', 'raw') }))
      .records(requested('a', null, { disks }));
    given(registered({ disks: [VDA, { ...RAW, default: 'none' }] }))
      .when(create('a'))
      .records(requested('a', null, { disks }));
  });

  test('a VM without a writable disk has nothing to snapshot', () => {
    given(registered({ disks: [] }))
      .when(create('a'))
      .refuses('nothing-to-snapshot');
    given(registered({ disks: [disk('cd', { readOnly: true })] }))
      .when(create('a'))
      .refuses('nothing-to-snapshot');
  });
});

describe('what makes no sense in any power state is refused at once:', () => {
  const none = [...only('none'), ...only('none', 'vdb')];
  test('neither memory nor a disk', () => {
    given()
      .when(create('a', { memory: 'none', disks: none }))
      .refuses('invalid-combination');
    given()
      .when(create('a', { diskOnly: true, disks: none }))
      .refuses('invalid-combination');
  });

  test('memory and disk-only: the refusal says so, and nothing about a machine that is off', () => {
    const refusal = refusalOf(create('a', { memory: 'internal', diskOnly: true }), given().vm);
    expect(refusal.code).toBe('invalid-combination');
    expect(refusal.message).toBe('disk-only and memory contradict each other');
  });

  test('what a running machine can do is accepted: only a look tells whether it runs', () => {
    given()
      .when(create('a', { memory: 'internal' }))
      .records(requested('a', null, { memory: 'internal' }));
  });
});

describe('live internal snapshots are bounded:', () => {
  const two = { limits: { snapshotsMax: 2, chainMax: 64 } };
  test('the last one that fits is taken, the next refused', () => {
    given(taken('a')).when(create('b', two)).records(requested('b', 'a'));
    given(taken('a'), taken('b', 'a')).when(create('c', two)).refuses('too-many-snapshots');
  });

  test('a retired one still counts: its data are on the disks', () => {
    given(taken('a'), taken('b', 'a'), retired('a')).when(create('c', two)).refuses('too-many-snapshots');
  });

  test('a deleted and a failed one do not count', () => {
    given(taken('a'), taken('b', 'a'), merged('a')).when(create('c', two)).records(requested('c', 'b'));
    given(taken('a'), requested('b', 'a'), createFailed('b'))
      .when(create('c', two))
      .records(requested('c', 'a'));
  });

  test('one that stands in files of its own does not count: no table of QEMU holds it', () => {
    given(taken('a'), takenOutside('b', 'a')).when(create('c', two)).records(requested('c', 'b'));
  });

  test('one that is to stand in files of its own may be taken beside any number of them', () => {
    const disks = [...only('external'), ...only('external', 'vdb')];
    given(taken('a'), taken('b', 'a'))
      .when(create('c', { ...two, disks }))
      .records(requested('c', 'b', { disks }));
  });
});

test('a pending snapshot may get another name: the worker does not care', () => {
  given(requested('a')).when(rename('a', 'b')).records(renamed('a', 'b'));
});

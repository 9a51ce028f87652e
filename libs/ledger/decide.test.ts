import { describe, expect, test } from 'vitest';
import { isRetryable } from './refusal.ts';
import type { DiskCapture } from './shapes.ts';
import {
  change,
  create,
  createUnnamed,
  deleteAll,
  forget,
  load,
  loadvm,
  merge,
  patch,
  protect,
  release,
  rename,
  reportCreated,
  reportFailed,
  retire,
  savevm,
  start,
  unretire,
} from './story/commands.ts';
import {
  createFailed,
  evidence,
  fact,
  held,
  leftover,
  loaded,
  loadRequested,
  merged,
  RAW,
  registered,
  released,
  renamed,
  requested,
  retired,
  snapshotCreated,
  started,
  taken,
  VDA,
  VDB,
} from './story/events.ts';
import { given, lineageOf, played, refusalOf } from './story/given.ts';
import { tagOf } from './vm.ts';

describe('rule 1, names:', () => {
  test('a name that lives is refused, never overwritten', () => {
    given(taken('a'))
      .when(create('b', { name: 'a' }))
      .refuses('name-taken', { snapshotId: 'a' });
  });

  test('a name that stands as a foreign tag on one of the disks is refused until the tag is gone', () => {
    const foreignTags = [{ device: 'vdb', tag: 'old' }];
    given(registered({ foreignTags }))
      .when(create('a', { name: 'old' }))
      .refuses('name-taken');
    given(registered({ foreignTags }), fact('DisksChanged', { disks: [VDA, VDB], foreignTags: [] }))
      .when(create('a', { name: 'old' }))
      .records(requested('a', null, { name: 'old' }));
  });

  test('a snapshot that nobody named is called after the end of its id, and the ledger remembers that', () => {
    const id = '01998f3c-1111-7222-8333-0123456789ab';
    given()
      .when(createUnnamed(id))
      .records(requested(id, null, { name: 'snap-0123456789ab', nameGiven: false }));
  });

  test('a made-up name overwrites nothing either', () => {
    given(requested('a', null, { name: 'snap-b' }), snapshotCreated('a'))
      .when(createUnnamed('b'))
      .refuses('name-taken', { snapshotId: 'a' });
  });

  test('a name shaped like a UUID is refused: nothing guesses between names and ids', () => {
    given()
      .when(create('a', { name: '3fab28c9-a6bd-4659-b9bc-683780d8a2d5' }))
      .refuses('invalid-name');
  });
});

describe('rule 2, ids:', () => {
  test('an id is never given to another snapshot, not even after its own is deleted', () => {
    given(taken('a'))
      .when(create('a', { name: 'other' }))
      .refuses('id-used');
    given(taken('a'), merged('a')).when(create('a')).refuses('id-used');
    given(requested('a'), createFailed('a')).when(create('a')).refuses('id-used');
  });

  test('an id whose tag stands on a disk from a former life of the machine is never given to another snapshot', () => {
    const id = '3fab28c9-a6bd-4659-b9bc-683780d8a2d5';
    given(registered({ foreignTags: [{ device: 'vdb', tag: tagOf(id) }] }))
      .when(create(id, { name: 'new' }))
      .refuses('id-used');
  });

  test('on disk a snapshot is called by its id: no text of the user gets there', () => {
    expect(tagOf('3fab28c9-a6bd-4659-b9bc-683780d8a2d5')).toBe('sl-3fab28c9-a6bd-4659-b9bc-683780d8a2d5');
  });
});

describe('rule 3, parents:', () => {
  test('savevm a, b, c, d; loadvm b; savevm e: e descends from b', () => {
    const vm = played(savevm('a'), savevm('b'), savevm('c'), savevm('d'), loadvm('b'), savevm('e'));
    expect(lineageOf(vm)).toEqual({ a: null, b: 'a', c: 'b', d: 'c', e: 'b' });
    expect(vm.current).toEqual({ id: 'e', confidence: 'known' });
  });

  test('a snapshot taken after a load descends from the loaded one, not from the newest', () => {
    given(taken('a'), taken('b', 'a'), taken('c', 'b'), taken('d', 'c'), loaded('b'))
      .when(create('e'))
      .records(requested('e', 'b'));
  });

  test('the first snapshot has no parent', () => {
    given().when(create('a')).records(requested('a', null));
  });

  test('the parent is fixed when the request is recorded', () => {
    expect(lineageOf(given(taken('a'), requested('b', 'a')).vm)).toEqual({ a: null, b: 'a' });
  });

  test('a snapshot becomes current when it is taken, not when it is asked for', () => {
    expect(given(taken('a'), requested('b', 'a')).vm.current.id).toBe('a');
    expect(given(taken('a'), taken('b', 'a')).vm.current.id).toBe('b');
  });

  test('a snapshot becomes current when it is loaded, not when the load is asked for', () => {
    expect(given(taken('a'), taken('b', 'a'), loadRequested('a')).vm.current.id).toBe('b');
    expect(given(taken('a'), taken('b', 'a'), loaded('a')).vm.current.id).toBe('a');
  });

  test('when the current snapshot is deleted, its parent is current', () => {
    expect(given(taken('a'), taken('b', 'a'), merged('b')).vm.current.id).toBe('a');
    expect(given(taken('a'), merged('a')).vm.current.id).toBeNull();
  });
});

describe('rule 4, one operation at a time:', () => {
  const busy = given(taken('a'), requested('b', 'a'));
  test.each([
    ['create', create('c')],
    ['load', load('a')],
    ['merge', merge('a')],
    ['delete all', deleteAll],
    ['forget', forget],
    ['another monitor', change({ monitor: '/run/other.qmp' })],
    ['another host', change({ host: 'host-2' })],
    ['another default', change({ defaults: { vda: 'none' } })],
  ])('%s waits for the open operation, and is told which one that is', (_, command) => {
    busy.when(command).refuses('vm-busy', { operationId: 'create-b' });
  });

  test('busy passes by itself: it is worth asking again', () => {
    expect(isRetryable(refusalOf(create('c'), busy.vm).code)).toBe(true);
  });

  test('an operation that ended, well or badly, makes room for the next', () => {
    given(taken('a')).when(create('b')).records(requested('b', 'a'));
    given(requested('a'), createFailed('a')).when(create('b')).records(requested('b', null));
  });

  test('nobody but the first worker starts an operation', () => {
    given(requested('a'), started('create-a', 'a')).when(start('create-a', 'a')).refuses('not-cancelable');
  });
});

describe('rule 5, all devices or none:', () => {
  test('a create that names no disks captures every writable disk', () => {
    given(registered({ disks: [VDA, VDB, { ...VDA, device: 'cdrom', readOnly: true }] }))
      .when(create('a'))
      .records(requested('a'));
  });

  test('a create that names some disks still says of every other writable disk what becomes of it', () => {
    given()
      .when(create('a', { disks: [{ device: 'vdb', mode: 'none' }] }))
      .records(
        requested('a', null, {
          disks: [
            { device: 'vda', mode: 'internal' },
            { device: 'vdb', mode: 'none' },
          ],
        }),
      );
  });

  test('one disk that cannot be captured refuses the whole create, and says what would help', () => {
    const { vm } = given(registered({ disks: [VDA, RAW] }));
    const refusal = refusalOf(create('a'), vm);
    expect(refusal.code).toBe('disk-unsupported');
    expect(refusal.message).toContain('"external" or "none"');
  });

  test('a snapshot is not called complete before every disk has shown it', () => {
    given(requested('a'))
      .when(reportCreated('a', { evidence: [evidence('a', 'vda')] }))
      .refuses('snapshot-damaged');
  });

  test('a disk that is left out on purpose need not show the snapshot', () => {
    const onVda = { evidence: [evidence('a', 'vda')] };
    const disks: DiskCapture[] = [
      { device: 'vda', mode: 'internal' },
      { device: 'vdb', mode: 'none' },
    ];
    given(requested('a', null, { disks }))
      .when(reportCreated('a', onVda))
      .records(snapshotCreated('a', onVda));
  });
});

describe('rule 6, every request ends exactly once:', () => {
  test('a failure with nothing left is undone: the VM is as it was', () => {
    const { vm } = given(taken('a'), requested('b', 'a'), createFailed('b'));
    expect(vm.hold).toBeNull();
    expect(vm.operation).toBeNull();
    expect(lineageOf(vm)).toEqual({ a: null });
    expect(vm.current.id).toBe('a');
  });

  test('a failure with something left holds the VM: it takes only a load and a release', () => {
    const heldVm = given(taken('a'), requested('b', 'a'), createFailed('b', held(leftover('b'))));
    const others = [create('c'), merge('a'), retire('a'), unretire('a'), deleteAll, rename('a', 'x'), forget];
    for (const command of [...others, change({ name: 'x' })]) {
      heldVm.when(command).refuses('vm-held', { operationId: 'create-b' });
    }
    heldVm.when(load('a')).records(loadRequested('a'));
    heldVm.when(release('checked by hand')).records(released('checked by hand'));
  });

  test('the second end of an operation is none', () => {
    given(taken('a')).when(reportCreated('a')).records();
    given(taken('a')).when(reportFailed('create-a')).records();
    given(requested('a'), createFailed('a')).when(reportCreated('a')).records();
  });
});

describe('rule 7, what needs no machine is done at once:', () => {
  const whileBusy = given(taken('a'), taken('b', 'a'), requested('c', 'b'));
  test('rename, describe, label and protect record one event each, even during an operation', () => {
    whileBusy.when(rename('a', 'x')).records(renamed('a', 'x'));
    whileBusy
      .when(patch('a', { description: 'why' }))
      .records(fact('SnapshotDescribed', { snapshotId: 'a', description: 'why' }));
    whileBusy
      .when(patch('a', { labels: { tier: 'gold' } }))
      .records(fact('SnapshotLabelled', { snapshotId: 'a', labels: { tier: 'gold' } }));
    whileBusy.when(protect('a')).records(fact('SnapshotProtected', { snapshotId: 'a' }));
  });

  test('retire and unretire record one event, even during an operation on another snapshot', () => {
    whileBusy.when(retire('a')).records(retired('a'));
    given(taken('a'), retired('a'), requested('c', 'a'))
      .when(unretire('a'))
      .records(fact('SnapshotUnretired', { snapshotId: 'a' }));
  });

  test('forget records one event once the VM is idle', () => {
    given(taken('a')).when(forget).records(fact('VmForgotten', {}));
  });
});

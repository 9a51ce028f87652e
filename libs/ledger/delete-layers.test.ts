import { describe, expect, test } from 'vitest';
import { planLayers } from './layers.ts';
import { deleteAll, discard, discardForce, merge, mergeForce, reportDeleted } from './story/commands.ts';
import {
  deleteRequested,
  fact,
  frozenBy,
  loaded,
  loadedOutside,
  loadedSafely,
  loadRequested,
  merged,
  pinning,
  protectedFromNow,
  requested,
  retired,
  snapshotDeleted,
  snapshotDiscarded,
  snapshotLoaded,
  snapshotCreated,
  started,
  starting,
  taken,
  takenOn,
  takenOutside,
  VDA,
  VDB,
} from './story/events.ts';
import { given, lineageOf } from './story/given.ts';

// What the machine writes on stands on b, which stands on a, which stands on the image that it came with.
const BOTH = ['vda', 'vdb'].map((device) => ({ device, mode: 'internal' as const }));
const outside = [...takenOutside('a'), ...takenOutside('b', 'a')];

describe('a snapshot that the machine stands on', () => {
  test('is not discarded under it: merge, or load another one first', () => {
    given(outside)
      .when(discard('b'))
      .refuses('in-use', { snapshots: ['b'] });
    given(outside)
      .when(discardForce('b'))
      .refuses('in-use', { snapshots: ['b'] });
    given(outside)
      .when(discardForce('a'))
      .refuses('in-use', { snapshots: ['b', 'a'] });
  });

  test('can be merged, each one of them', () => {
    for (const id of ['a', 'b']) {
      given(outside)
        .when(merge(id))
        .records(deleteRequested(id, 'merge', id));
    }
  });

  test('is stood on no longer when another one is loaded', () => {
    const elsewhere = [...outside, ...loadedOutside('a', 'x')];
    given(elsewhere)
      .when(discard('b'))
      .records(deleteRequested('b', 'discard', 'b'));
    given(elsewhere)
      .when(discardForce('a'))
      .refuses('in-use', { snapshots: ['a'] });
  });

  test('is none that is inside the disks, and none whose own disk is not under the machine', () => {
    given(outside, takenOn('t', 'b'))
      .when(discard('t'))
      .records(deleteRequested('t', 'discard', 't'));
  });

  test('is one of a subtree: then the whole is refused, and the one is named', () => {
    given(takenOutside('a'), taken('r'), takenOutside('b', 'r', 'a'))
      .when(discardForce('r'))
      .refuses('in-use', { snapshots: ['b'] });
  });

  test('goes with all the others when all go: the content is folded into the present', () => {
    given(outside)
      .when(deleteAll)
      .records(deleteRequested(null, 'discard-force', 'b', 'a'));
  });
});

describe('snapshots inside the layer that a merge would fill', () => {
  const tenants = [...outside, ...takenOn('t', 'b'), ...takenOn('u', 'b', 't')];

  test('read what they lack from below it: so the merge is refused and names them', () => {
    given(tenants)
      .when(merge('b'))
      .refuses('would-discard', { snapshots: ['u', 't'] });
  });

  test('go along by force, each after its descendants', () => {
    given(tenants)
      .when(mergeForce('b'))
      .records(deleteRequested('b', 'merge-force', 'u', 't', 'b'));
    given(tenants, deleteRequested('b', 'merge-force', 'u', 't', 'b'))
      .when(reportDeleted('b'))
      .records(snapshotDiscarded('u', 'b'), snapshotDiscarded('t', 'b'), snapshotDeleted('b'));
  });

  test('do not go along when one of them is protected', () => {
    given(tenants, protectedFromNow('t')).when(mergeForce('b')).refuses('protected', { snapshotId: 't' });
  });

  test('lose nothing when the fold is further down, or when nothing is folded', () => {
    given(tenants)
      .when(merge('a'))
      .records(deleteRequested('a', 'merge', 'a'));
    given(takenOutside('a'), takenOn('t', 'a'))
      .when(mergeForce('a'))
      .records(deleteRequested('a', 'merge-force', 'a'));
  });

  test('that are retired still live', () => {
    given(tenants, retired('t'))
      .when(merge('b'))
      .refuses('would-discard', { snapshots: ['u', 't'] });
  });
});

describe('pins, which loads have left behind,', () => {
  // The machine went back to a and left a pin of what it was then, a child of b.
  const pinned = [...taken('a'), ...taken('b', 'a'), ...loadedSafely('a', 'p', 'b')];

  test("are nobody's children: their parent is discarded, and they go along", () => {
    given(pinned)
      .when(discard('b'))
      .records(deleteRequested('b', 'discard', 'p', 'b'));
  });

  test('hand their children on to their parent: it cannot be discarded under these', () => {
    const undone = [...pinned, ...loaded('p'), ...taken('c', 'p')];
    given(undone)
      .when(discard('b'))
      .refuses('has-children', { children: ['c'] });
    given(undone)
      .when(discardForce('b'))
      .records(deleteRequested('b', 'discard-force', 'c', 'p', 'b'));
  });

  test("get their parent's parent when it is merged", () => {
    expect(lineageOf(given(pinned, merged('b')).vm)).toEqual({ a: null, p: 'a' });
  });

  test('that are protected protect what they would go along with', () => {
    given(pinned, protectedFromNow('p')).when(discard('b')).refuses('protected', { snapshotId: 'p' });
  });

  test('that the machine stands on are not thrown away with their parent', () => {
    const onPin = [
      ...taken('a'),
      loadRequested('a', 'p'),
      fact('SnapshotPinned', {
        ...{ ...pinning('p', 'a'), snapshotId: 'p', name: 'snap-p', parentId: 'a', evidence: [] },
        disks: [{ device: 'vda', mode: 'external' }],
        layers: frozenBy('p', null, ['vda']),
      }),
      snapshotLoaded('a'),
      ...loadedOutside('p', 'x'),
    ];
    given(onPin)
      .when(discard('a'))
      .refuses('in-use', { snapshots: ['p'] });
  });

  test('go when all go', () => {
    given(pinned)
      .when(deleteAll)
      .records(deleteRequested(null, 'discard-force', 'p', 'b', 'a'));
  });
});

describe('a pin inside a layer that a merge would fill', () => {
  // The machine went on from b, and a load has left a pin inside the layer above it.
  const p = [...takenOn('p', 'b')].map((event) =>
    event.type === 'SnapshotCreated'
      ? fact('SnapshotPinned', {
          ...pinning('p', 'a'),
          ...event.data,
          name: 'snap-p',
          parentId: 'b',
          disks: BOTH,
        })
      : loadRequested('a', 'p'),
  );
  const pinned = [...outside, ...p, snapshotLoaded('a')];

  test('is in nobody’s way: nobody can be asked about what is hidden, so it goes along', () => {
    given(pinned)
      .when(merge('b'))
      .records(deleteRequested('b', 'merge', 'p', 'b'));
    given(pinned, deleteRequested('b', 'merge', 'p', 'b'))
      .when(reportDeleted('b'))
      .records(snapshotDiscarded('p', 'b'), snapshotDeleted('b'));
  });

  test('is not named beside those that are in the way', () => {
    given(pinned, takenOn('t', 'b'))
      .when(merge('b'))
      .refuses('would-discard', { snapshots: ['t'] });
  });

  test('stays when somebody has protected it', () => {
    given(pinned, protectedFromNow('p')).when(merge('b')).refuses('protected', { snapshotId: 'p' });
  });
});

describe('a copy that holds only a part', () => {
  const partial = { device: 'vda', target: '/copies/a', format: 'qcow2', sync: 'top' as const };
  const backing = { file: '/images/vda-a.qcow2', format: 'qcow2' };
  const copied = (more: Partial<typeof partial>, on: typeof backing | null) => [
    ...takenOutside('a'),
    requested('b', 'a', { disks: BOTH.map((disk) => ({ ...disk, mode: 'external' as const })) }),
    fact('OperationStarted', {
      ...starting('create-b', 'b'),
      backups: [{ ...partial, ...more, by: 'create', backing: on, node: 'n' }],
    }),
    snapshotCreated('b', {
      ...{ memory: { mode: 'none' }, evidence: [], layers: frozenBy('b', 'a') },
      backups: [{ ...partial, ...more, sizeBytes: 1 }],
    }),
  ];

  test('is remembered by what it stands on; one that holds everything is not', () => {
    const known = { device: 'vda', target: '/copies/a', backing: backing.file };
    expect(given(copied({}, backing)).vm.backups).toEqual([known]);
    expect(given(copied({ sync: 'full' as never }, null)).vm.backups).toEqual([]);
  });
});

const moved = (file: string) => fact('DisksChanged', { disks: [{ ...VDA, file }, VDB], foreignTags: [] });

describe('what the machine has written on and somebody took from it', () => {
  test('is not ours any more: nothing of it is dropped, whatever is deleted', () => {
    const { vm } = given(takenOutside('a'), takenOutside('b', 'a'), moved('/elsewhere/vda'), merged('a'));
    const { unneeded } = planLayers(vm, []);
    expect(unneeded.map(({ file }) => file)).toEqual([]);
    expect(vm.layers.get('/images/vda-b.qcow2')?.origin).toBe('given');
  });

  test('is ours while an operation of ours is at work on it', () => {
    const { vm } = given(
      takenOutside('a'),
      requested('b', 'a'),
      started('create-b', 'b'),
      moved('/elsewhere/vda'),
    );
    expect(vm.layers.get('/images/vda-a.qcow2')?.origin).toBe('ours');
  });
});

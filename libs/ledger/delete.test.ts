import { describe, expect, test } from 'vitest';
import {
  create,
  deleteAll,
  discard,
  discardForce,
  load,
  loadvm,
  merge,
  mergeForce,
  protect,
  reportDeleted,
  reportFailed,
  retire,
  savevm,
  unretire,
} from './story/commands.ts';
import {
  deleteFailed,
  deleteRequested,
  fact,
  held,
  leftover,
  loadRequested,
  merged,
  protectedFromNow,
  released,
  requested,
  retired,
  snapshotDeleted,
  snapshotDiscarded,
  taken,
} from './story/events.ts';
import { given, lineageOf, played } from './story/given.ts';

// a ── b ── c          e is a second child of b; f stands alone.
//       └── e      f
const tree = [...taken('a'), ...taken('b', 'a'), ...taken('c', 'b'), ...taken('e', 'b'), ...taken('f', null)];
const grown = [savevm('a'), savevm('b'), savevm('c'), loadvm('b'), savevm('e')];

describe('retire:', () => {
  test('is what a delete without a strategy means', () => {
    given(taken('a'))
      .when({ type: 'DeleteSnapshot', snapshotId: 'a', operationId: 'delete-a' })
      .records(retired('a'));
  });

  test('hides a snapshot and keeps its place, its children and its name', () => {
    const { vm } = given(tree, retired('b'));
    expect(lineageOf(vm)).toEqual({ a: null, b: 'a', c: 'b', e: 'b', f: null });
    expect(vm.snapshots.get('b')?.status).toBe('retired');
    given(tree, retired('b'))
      .when(create('g', { name: 'b' }))
      .refuses('name-taken');
  });

  test('of the current snapshot keeps it current, and the next one descends from it', () => {
    given(taken('a'), retired('a')).when(create('b')).records(requested('b', 'a'));
  });

  test('twice is once, and so is unretire', () => {
    given(taken('a'), retired('a')).when(retire('a')).records();
    given(taken('a')).when(unretire('a')).records();
  });

  test('waits for an operation on that very snapshot', () => {
    given(taken('a'), loadRequested('a')).when(retire('a')).refuses('vm-busy', { operationId: 'load-a' });
    given(requested('a')).when(retire('a')).refuses('vm-busy', { operationId: 'create-a' });
    given(tree, deleteRequested('b', 'discard-force', 'e', 'c', 'b'))
      .when(retire('c'))
      .refuses('vm-busy', { operationId: 'delete-b' });
  });

  test('and unretire are for whole snapshots only', () => {
    const suspect = given(
      taken('a'),
      deleteRequested('a', 'merge', 'a'),
      deleteFailed('a', held(leftover('a'))),
      released(),
    );
    suspect.when(retire('a')).refuses('not-complete');
    suspect.when(unretire('a')).refuses('not-complete');
  });

  test('can be purged later by any strategy', () => {
    given(taken('a'), retired('a'))
      .when(discard('a'))
      .records(deleteRequested('a', 'discard', 'a'));
    given(taken('a'), retired('a'))
      .when(merge('a'))
      .records(deleteRequested('a', 'merge', 'a'));
  });
});

describe('merge:', () => {
  test('takes one snapshot; its children get its parent', () => {
    given(tree)
      .when(merge('b'))
      .records(deleteRequested('b', 'merge', 'b'));
    expect(lineageOf(given(tree, merged('b')).vm)).toEqual({ a: null, c: 'a', e: 'a', f: null });
  });

  test('of a root makes its children roots', () => {
    expect(lineageOf(given(tree, merged('a')).vm)).toEqual({ b: null, c: 'b', e: 'b', f: null });
  });

  test('by force discards nobody where nobody stands in the way: an internal snapshot holds nobody else up', () => {
    given(tree)
      .when(mergeForce('b'))
      .records(deleteRequested('b', 'merge-force', 'b'));
  });
});

describe('discard:', () => {
  test('of a leaf takes that leaf', () => {
    given(tree)
      .when(discard('c'))
      .records(deleteRequested('c', 'discard', 'c'));
  });

  test('of a snapshot with children is refused and names them', () => {
    given(tree)
      .when(discard('b'))
      .refuses('has-children', { children: ['c', 'e'] });
  });

  test('counts a retired child: it can still come back', () => {
    given(taken('a'), taken('b', 'a'), retired('b'))
      .when(discard('a'))
      .refuses('has-children', { children: ['b'] });
  });
});

describe('discard-force:', () => {
  test('takes the whole subtree, each after its descendants, the one asked for last', () => {
    given(tree)
      .when(discardForce('a'))
      .records(deleteRequested('a', 'discard-force', 'e', 'c', 'b', 'a'));
  });

  test('of a leaf is a discard', () => {
    given(tree)
      .when(discardForce('f'))
      .records(deleteRequested('f', 'discard-force', 'f'));
  });

  test('records each that goes along, then the end', () => {
    given(tree, deleteRequested('b', 'discard-force', 'e', 'c', 'b'))
      .when(reportDeleted('b'))
      .records(snapshotDiscarded('e', 'b'), snapshotDiscarded('c', 'b'), snapshotDeleted('b'));
  });

  test('moves the present up to what is left', () => {
    const vm = played(...grown, discardForce('b'), reportDeleted('b'));
    expect(lineageOf(vm)).toEqual({ a: null });
    expect(vm.current).toEqual({ id: 'a', confidence: 'known' });
  });

  test('of the only root leaves a machine that descends from nothing', () => {
    const vm = played(...grown, discardForce('a'), reportDeleted('a'));
    expect(lineageOf(vm)).toEqual({});
    expect(vm.current.id).toBeNull();
  });
});

describe('protection:', () => {
  test('refuses every strategy', () => {
    for (const command of [
      retire('a'),
      merge('a'),
      mergeForce('a'),
      discard('a'),
      discardForce('a'),
      deleteAll,
    ]) {
      given(taken('a'), protectedFromNow('a')).when(command).refuses('protected', { snapshotId: 'a' });
    }
  });

  test('of a descendant refuses the discard of the subtree, and names the descendant', () => {
    given(tree, protectedFromNow('e')).when(discardForce('a')).refuses('protected', { snapshotId: 'e' });
  });

  test('of a child or parent does not hinder a merge: they stay', () => {
    given(tree, protectedFromNow('c'), protectedFromNow('a'))
      .when(merge('b'))
      .records(deleteRequested('b', 'merge', 'b'));
  });

  test('ends when it is taken away', () => {
    given(taken('a'), protectedFromNow('a'), fact('SnapshotUnprotected', { snapshotId: 'a' }))
      .when(discard('a'))
      .records(deleteRequested('a', 'discard', 'a'));
  });

  test('comes too late for what is being deleted', () => {
    given(taken('a'), deleteRequested('a', 'merge', 'a'))
      .when(protect('a'))
      .refuses('vm-busy', { operationId: 'delete-a' });
  });
});

describe('delete all:', () => {
  test('takes every snapshot of every tree, each after its descendants', () => {
    given(tree)
      .when(deleteAll)
      .records(deleteRequested(null, 'discard-force', 'e', 'c', 'b', 'a', 'f'));
  });

  test('records one event for each, and ends in one for all', () => {
    given(taken('a'), taken('b', 'a'), deleteRequested(null, 'discard-force', 'b', 'a'))
      .when(reportDeleted('all'))
      .records(snapshotDiscarded('b', 'all'), snapshotDiscarded('a', 'all'), snapshotDeleted(null));
  });

  test('leaves a VM without snapshots whose present descends from nothing', () => {
    const vm = played(...grown, deleteAll, reportDeleted('all'));
    expect(lineageOf(vm)).toEqual({});
    expect(vm.current.id).toBeNull();
    expect(vm.operation).toBeNull();
  });

  test('of nothing is nothing', () => {
    given().when(deleteAll).records();
  });

  test('takes retired and suspect ones too', () => {
    const suspect = [deleteRequested('b', 'merge', 'b'), deleteFailed('b', held(leftover('b'))), released()];
    given(taken('a'), taken('b', 'a'), retired('a'), suspect)
      .when(deleteAll)
      .records(deleteRequested(null, 'discard-force', 'b', 'a'));
  });
});

describe('while a delete is under way:', () => {
  const under = given(tree, deleteRequested('b', 'discard-force', 'e', 'c', 'b'));
  test('all that it takes are marked, and nothing else', () => {
    const statuses = [...under.vm.snapshots.values()].map(({ id, status }) => `${id} ${status}`);
    expect(statuses).toEqual(['a complete', 'b deleting', 'c deleting', 'e deleting', 'f complete']);
  });

  test('the lineage is as it was: nothing is gone before it is gone', () => {
    expect(lineageOf(under.vm)).toEqual({ a: null, b: 'a', c: 'b', e: 'b', f: null });
    expect(under.vm.current.id).toBe('f');
  });
});

describe('a delete that fails', () => {
  test('and is undone leaves each as it was, the retired one retired', () => {
    const { vm } = given(
      tree,
      retired('c'),
      deleteRequested('b', 'discard-force', 'e', 'c', 'b'),
      deleteFailed('b'),
    );
    const statuses = [...vm.snapshots.values()].map(({ status }) => status);
    expect(statuses).toEqual(['complete', 'complete', 'retired', 'complete', 'complete']);
    expect(vm.hold).toBeNull();
  });

  test('and is held leaves all that it was to take suspect, and the VM held', () => {
    const { vm } = given(
      taken('a'),
      taken('b', 'a'),
      deleteRequested('b', 'merge', 'b'),
      deleteFailed('b', held(leftover('b'))),
    );
    expect(vm.snapshots.get('b')?.status).toBe('suspect');
    expect(vm.snapshots.get('a')?.status).toBe('complete');
    expect(vm.hold).toMatchObject({ operationId: 'delete-b', leftovers: [leftover('b')] });
    expect(vm.current.id).toBe('b');
  });

  test('can be asked for again once the VM is released: it rolls forward', () => {
    given(taken('a'), deleteRequested('a', 'merge', 'a'), deleteFailed('a', held(leftover('a'))), released())
      .when(merge('a'))
      .records(deleteRequested('a', 'merge', 'a'));
  });

  test('for all at once is told of none of them in particular', () => {
    given(taken('a'), deleteRequested(null, 'discard-force', 'a'))
      .when(reportFailed('delete-all'))
      .records(deleteFailed(null));
  });
});

test('what does not live cannot be deleted', () => {
  given(taken('a')).when(merge('b')).refuses('snapshot-unknown');
  given(taken('a'), merged('a')).when(merge('a')).refuses('snapshot-unknown');
  given(taken('a'), merged('a')).when(unretire('a')).refuses('snapshot-unknown');
  given(taken('a'), merged('a')).when(load('a')).refuses('snapshot-unknown');
});

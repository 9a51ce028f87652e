import { describe, expect, test } from 'vitest';
import { load, reportLoaded } from './story/commands.ts';
import {
  deleteFailed,
  deleteRequested,
  fact,
  held,
  leftover,
  loadFailed,
  loadRequested,
  merged,
  released,
  requested,
  retired,
  snapshotLoaded,
  taken,
} from './story/events.ts';
import { given } from './story/given.ts';

describe('a load', () => {
  test('says how the machine goes on: as it was captured, unless told otherwise', () => {
    given(taken('a')).when(load('a')).records(loadRequested('a'));
    given(taken('a'))
      .when({
        type: 'LoadSnapshot',
        snapshotId: 'a',
        operationId: 'load-a',
        resume: 'paused',
        disksOnly: true,
      })
      .records(
        fact('LoadRequested', { snapshotId: 'a', operationId: 'load-a', resume: 'paused', disksOnly: true }),
      );
  });

  test('of the current snapshot is a load like any other: it takes back what was done since', () => {
    given(taken('a')).when(load('a')).records(loadRequested('a'));
  });

  test('that succeeds makes its snapshot current', () => {
    given(taken('a'), taken('b', 'a'), loadRequested('a'))
      .when(reportLoaded('a'))
      .records(snapshotLoaded('a'));
  });

  test('that fails and is undone leaves the current snapshot as it was', () => {
    const { vm } = given(taken('a'), taken('b', 'a'), loadRequested('a'), loadFailed('a'));
    expect(vm.current).toEqual({ id: 'b', confidence: 'known' });
    expect(vm.hold).toBeNull();
  });

  test('that tears the disks leaves nobody certain, and holds the VM', () => {
    const { vm } = given(taken('a'), taken('b', 'a'), loadRequested('a'), loadFailed('a', held()));
    expect(vm.current.confidence).toBe('unknown');
    expect(vm.hold).toMatchObject({ operationId: 'load-a', leftovers: [] });
  });
});

describe('only a complete snapshot can be loaded:', () => {
  test('not one that is retired, until it is taken back', () => {
    given(taken('a'), retired('a')).when(load('a')).refuses('not-loadable');
    given(taken('a'), retired('a'), fact('SnapshotUnretired', { snapshotId: 'a' }))
      .when(load('a'))
      .records(loadRequested('a'));
  });

  test('not one that a failed delete has left suspect', () => {
    given(taken('a'), deleteRequested('a', 'merge', 'a'), deleteFailed('a', held(leftover('a'))), released())
      .when(load('a'))
      .refuses('not-loadable');
  });

  test('not one that is lost', () => {
    const story = given(taken('a'));
    const snapshot = story.vm.snapshots.get('a');
    if (snapshot) snapshot.status = 'lost'; // No event says so yet: drift will.
    story.when(load('a')).refuses('not-loadable');
  });

  test('not one that never was, is gone, or belongs to a failed create', () => {
    given(taken('a')).when(load('b')).refuses('snapshot-unknown');
    given(taken('a'), merged('a')).when(load('a')).refuses('snapshot-unknown');
  });

  test('not one that is still being taken: that is worth asking again', () => {
    given(requested('a')).when(load('a')).refuses('vm-busy', { operationId: 'create-a' });
  });
});

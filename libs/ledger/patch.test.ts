import { describe, expect, test } from 'vitest';
import { create, patch, protect, rename } from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  fact,
  held,
  leftover,
  merged,
  protectedFromNow,
  registered,
  released,
  renamed,
  requested,
  retired,
  taken,
} from './story/events.ts';
import { given } from './story/given.ts';

describe('each changed field is one event:', () => {
  test('all at once are four events', () => {
    given(taken('a'))
      .when(patch('a', { name: 'x', description: 'why', labels: { k: 'v' }, protected: true }))
      .records(
        renamed('a', 'x'),
        fact('SnapshotDescribed', { snapshotId: 'a', description: 'why' }),
        fact('SnapshotLabelled', { snapshotId: 'a', labels: { k: 'v' } }),
        protectedFromNow('a'),
      );
  });

  test('what is so already is no event', () => {
    given(taken('a'), protectedFromNow('a'))
      .when(patch('a', { name: 'a', description: '', labels: {}, protected: true }))
      .records();
    given(taken('a')).when(patch('a', {})).records();
    given(taken('a'))
      .when(patch('a', { protected: false }))
      .records();
  });

  test('the same labels in another order are the same', () => {
    given(taken('a'), fact('SnapshotLabelled', { snapshotId: 'a', labels: { k: 'v', l: 'w' } }))
      .when(patch('a', { labels: { l: 'w', k: 'v' } }))
      .records();
  });

  test('another value of the same label is a change', () => {
    given(taken('a'), fact('SnapshotLabelled', { snapshotId: 'a', labels: { k: 'v' } }))
      .when(patch('a', { labels: { k: 'w' } }))
      .records(fact('SnapshotLabelled', { snapshotId: 'a', labels: { k: 'w' } }));
  });

  test('labels are replaced as a whole, and a key that every object has is a key like any other', () => {
    given(taken('a'), fact('SnapshotLabelled', { snapshotId: 'a', labels: { k: 'v' } }))
      .when(patch('a', { labels: { constructor: 'v' } }))
      .records(fact('SnapshotLabelled', { snapshotId: 'a', labels: { constructor: 'v' } }));
  });

  test('one field that is refused refuses all of them', () => {
    given(taken('a'))
      .when(patch('a', { description: 'fine', name: '' }))
      .refuses('invalid-name');
    given(taken('a'))
      .when(patch('a', { name: 'fine', labels: { '': 'no key' } }))
      .refuses('invalid-body');
  });
});

describe('a new name', () => {
  test('may be that of no other live snapshot, be it pending, being deleted, retired or suspect', () => {
    given(taken('a'), taken('b', 'a')).when(rename('a', 'b')).refuses('name-taken', { snapshotId: 'b' });
    given(taken('a'), requested('b', 'a')).when(rename('a', 'b')).refuses('name-taken');
    given(taken('a'), taken('b', 'a'), deleteRequested('b', 'merge', 'b'))
      .when(rename('a', 'b'))
      .refuses('name-taken');
    given(taken('a'), taken('b', 'a'), retired('b')).when(rename('a', 'b')).refuses('name-taken');
    const failed = [deleteRequested('b', 'merge', 'b'), deleteFailed('b', held(leftover('b'))), released()];
    given(taken('a'), taken('b', 'a'), failed).when(rename('a', 'b')).refuses('name-taken');
  });

  test('may not be that of a lost one either', () => {
    const story = given(taken('a'), taken('b', 'a'));
    const lost = story.vm.snapshots.get('b');
    if (lost) lost.status = 'lost'; // No event says so yet: drift will.
    story.when(rename('a', 'b')).refuses('name-taken');
  });

  test('may be that of a deleted or failed one', () => {
    given(taken('a'), taken('b', 'a'), merged('b')).when(rename('a', 'b')).records(renamed('a', 'b'));
    given(taken('a'), requested('b', 'a'), createFailed('b'))
      .when(rename('a', 'b'))
      .records(renamed('a', 'b'));
  });

  test('may not be a foreign tag on a disk', () => {
    given(registered({ foreignTags: [{ device: 'vda', tag: 'old' }] }), taken('a'))
      .when(rename('a', 'old'))
      .refuses('name-taken');
  });

  test('frees the old one', () => {
    given(taken('a'), renamed('a', 'x'))
      .when(create('b', { name: 'a' }))
      .records(requested('b', 'a', { name: 'a' }));
  });

  test('is a name: nothing else is asked of it than of the first', () => {
    given(taken('a')).when(rename('a', '54ad75b9-552e-4fd1-852b-a1a20ac66bf5')).refuses('invalid-name');
  });
});

describe('what may be changed:', () => {
  test('nothing of a snapshot that does not live', () => {
    given(taken('a'), merged('a')).when(rename('a', 'x')).refuses('snapshot-unknown');
    given().when(protect('a')).refuses('snapshot-unknown');
  });

  test('nothing of a snapshot that is being deleted', () => {
    given(taken('a'), deleteRequested('a', 'merge', 'a'))
      .when(rename('a', 'x'))
      .refuses('vm-busy');
  });

  test('a retired one still has a name and labels', () => {
    given(taken('a'), retired('a')).when(rename('a', 'x')).records(renamed('a', 'x'));
    expect(given(taken('a'), retired('a'), renamed('a', 'x')).vm.snapshots.get('a')).toMatchObject({
      name: 'x',
      status: 'retired',
    });
  });
});

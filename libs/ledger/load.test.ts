import { describe, expect, test } from 'vitest';
import type { Command, CommandOf } from './commands.ts';
import { create, load, rename, reportFailed, reportLoaded, reportPinned } from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  fact,
  held,
  leftover,
  loaded,
  loadedSafely,
  loadFailed,
  loadRequested,
  merged,
  released,
  renamed,
  requested,
  retired,
  snapshotCreated,
  snapshotDiscarded,
  snapshotLoaded,
  snapshotPinned,
  taken,
  takenOutside,
  VDA,
  VDB,
} from './story/events.ts';
import { given, lineageOf } from './story/given.ts';
import { pinsOf } from './vm.ts';

describe('a load', () => {
  test('says how the machine goes on: as it was captured, unless told otherwise', () => {
    given(taken('a')).when(load('a')).records(loadRequested('a'));
    given(taken('a'))
      .when(load('a', { resume: 'paused', disksOnly: true }))
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

  test('of the disks alone needs one that was captured', () => {
    const nothing = ['vda', 'vdb'].map((device) => ({ device, mode: 'none' as const }));
    const memoryOnly = [requested('a', null, { disks: nothing }), snapshotCreated('a', { evidence: [] })];
    given(memoryOnly)
      .when(load('a', { disksOnly: true }))
      .refuses('invalid-combination');
    given(memoryOnly).when(load('a')).records(loadRequested('a'));
  });

  test('not one that is still being taken: that is worth asking again', () => {
    given(requested('a')).when(load('a')).refuses('vm-busy', { operationId: 'create-a' });
  });
});

const safely = (id: string, pin: string) => load(id, { pin: { snapshotId: pin, what: 'disks' } });

describe('what a load has put in place', () => {
  const content = { type: 'ReportContentLoaded', content: { operationId: 'load-a' } } as const;
  const inPlace = fact('ContentLoaded', { snapshotId: 'a', operationId: 'load-a' });

  test('is recorded once, and the load goes on', () => {
    given(taken('a'), loadRequested('a')).when(content).records(inPlace);
    given(taken('a'), loadRequested('a'), inPlace).when(content).records();
    given(taken('a'), loadRequested('a'), loadFailed('a')).when(content).records();
    const { vm } = given(taken('a'), loadRequested('a'), inPlace);
    expect(vm.operation).toMatchObject({ kind: 'load', isLoaded: true });
  });

  test('is what the machine is to be started from at once', () => {
    const file = '/images/new-top.qcow2';
    const layer = { device: 'vda', file, format: 'qcow2', backing: null, origin: 'ours' as const };
    const layers = {
      ...{ set: [layer], gone: [], contents: [] },
      tops: [{ device: 'vda', node: 'n', file, format: 'qcow2' }],
    };
    const moved = fact('ContentLoaded', { snapshotId: 'a', operationId: 'load-a', layers });
    const { vm } = given(taken('a'), loadRequested('a'), moved);
    expect(vm.disks[0]).toMatchObject({ device: 'vda', file });
  });
});

describe('what a load saves of the present', () => {
  const two = [...taken('a'), ...taken('b', 'a')];

  test('is asked for with it', () => {
    given(two).when(safely('a', 'p')).records(loadRequested('a', 'p'));
  });

  test('is a snapshot that nobody asked for: its parent is what was current, and it is complete', () => {
    given(two, loadRequested('a', 'p'))
      .when(reportPinned('p', 'a'))
      .records(snapshotPinned('p', 'a', 'b'));
    const { vm } = given(two, loadRequested('a', 'p'), snapshotPinned('p', 'a', 'b'));
    const pin = { implicit: true, parentId: 'b', status: 'complete', name: 'snap-p' };
    expect(vm.snapshots.get('p')).toMatchObject(pin);
    expect(vm.current.id).toBe('b');
    expect(pinsOf(vm).map(({ id }) => id)).toEqual(['p']);
  });

  test('is saved once, and only when it was asked for', () => {
    given(two, loadRequested('a', 'p'), snapshotPinned('p', 'a', 'b'))
      .when(reportPinned('p', 'a'))
      .records();
    given(two, loadRequested('a')).when(reportPinned('p', 'a')).records();
    given(two, loadRequested('a', 'p'), loadFailed('a')).when(reportPinned('p', 'a')).records();
  });

  test('is on every disk or not saved at all', () => {
    const { pinned } = reportPinned('p', 'a') as CommandOf<'ReportPinned'>;
    const torn: Command = { type: 'ReportPinned', pinned: { ...pinned, evidence: pinned.evidence.slice(1) } };
    given(two, loadRequested('a', 'p'))
      .when(torn)
      .refuses('snapshot-damaged', { devices: ['vda'] });
    const disks = [{ device: 'vda', mode: 'external' as const }];
    given(two, loadRequested('a', 'p'))
      .when({ type: 'ReportPinned', pinned: { ...pinned, disks } })
      .refuses('snapshot-damaged', { devices: ['vda'] });
  });

  test('can be loaded, and what is taken then descends from it', () => {
    given(two, loadedSafely('a', 'p', 'b'))
      .when(load('p'))
      .records(loadRequested('p'));
    given(two, loadedSafely('a', 'p', 'b'), loaded('p'))
      .when(create('c'))
      .records(requested('c', 'p'));
  });

  test('stays when the load fails: it is there and it is whole', () => {
    const { vm } = given(two, loadRequested('a', 'p'), snapshotPinned('p', 'a', 'b'), loadFailed('a'));
    expect(lineageOf(vm)).toEqual({ a: null, b: 'a', p: 'b' });
    expect(vm.current).toEqual({ id: 'b', confidence: 'known' });
  });

  test('of a held machine is nothing: what it holds is torn', () => {
    given(two, requested('c', 'b'), createFailed('c', held(leftover('c'))))
      .when(safely('a', 'p'))
      .records(loadRequested('a'));
  });

  test('has an id and a name of its own: no snapshot was ever called so', () => {
    given(two).when(safely('a', 'b')).refuses('id-used');
    given(two, merged('b')).when(safely('a', 'b')).refuses('id-used');
    given(two, loadedSafely('a', 'p', 'b'))
      .when(safely('a', 'p'))
      .refuses('id-used');
    given(taken('a'), requested('b', 'a', { name: 'snap-p' }), snapshotCreated('b'))
      .when(safely('a', 'p'))
      .refuses('name-taken', { snapshotId: 'b' });
  });

  test('has its name from the moment the load is asked for', () => {
    given(two, loadRequested('a', 'p'))
      .when(rename('b', 'snap-p'))
      .refuses('name-taken', { snapshotId: 'p' });
    given(two, loadRequested('a', 'p'), loadFailed('a'))
      .when(rename('b', 'snap-p'))
      .records(renamed('b', 'snap-p'));
    given(two, loadRequested('a', 'p'), snapshotPinned('p', 'a', 'b'))
      .when(rename('p', 'kept'))
      .records(renamed('p', 'kept'));
  });

  test('is replaced by the next: its children move to its parent', () => {
    const story = [...two, ...loadedSafely('a', 'p', 'b'), ...loaded('p'), ...taken('c', 'p')];
    const again = [loadRequested('a', 'q'), snapshotPinned('q', 'a', 'c')];
    given(story, again)
      .when(reportLoaded('a', 'p'))
      .records(snapshotDiscarded('p', 'a', 'load'), snapshotLoaded('a'));
    expect(
      lineageOf(given(story, again, snapshotDiscarded('p', 'a', 'load'), snapshotLoaded('a')).vm),
    ).toEqual({ a: null, b: 'a', c: 'b', q: 'c' });
  });

  test('is let go by a load that had begun to remove it, and then failed', () => {
    const story = [
      ...two,
      ...loadedSafely('a', 'p', 'b'),
      loadRequested('a', 'q'),
      snapshotPinned('q', 'a', 'a'),
    ];
    given(story)
      .when({ ...reportFailed('load-a', held()), replaced: ['p', 'b'] })
      .records(snapshotDiscarded('p', 'a', 'load'), loadFailed('a', held()));
  });

  test('is not replaced while it is what is loaded, and nothing else ever is', () => {
    given(two, loadedSafely('a', 'p', 'b'), loadRequested('p', 'q'), snapshotPinned('q', 'p', 'a'))
      .when(reportLoaded('p', 'p', 'b', 'nobody'))
      .records(snapshotLoaded('p'));
  });
});

describe('what a snapshot outside the disks holds is frozen,', () => {
  const wrong = fact('DisksChanged', { disks: [VDA, VDB], foreignTags: [] });

  test('and is loaded no more when the machine was started from it and writes on it', () => {
    given(takenOutside('a')).when(load('a')).records(loadRequested('a'));
    given(takenOutside('a'), wrong).when(load('a')).refuses('not-loadable');
  });

  test('and while the machine is held and stands still it is a way out', () => {
    given(takenOutside('a'), wrong, loadRequested('a'), loadFailed('a', held()))
      .when(load('a'))
      .records(loadRequested('a'));
    given(takenOutside('a'), wrong, loadRequested('a'), loadFailed('a', held()), released())
      .when(load('a'))
      .refuses('not-loadable');
  });
});

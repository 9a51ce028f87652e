import { describe, expect, test } from 'vitest';
import {
  create,
  createUnnamed,
  load,
  loadvm,
  reportCreated,
  reportFailed,
  reportLoaded,
  savevm,
} from './story/commands.ts';
import {
  createFailed,
  evidence,
  loaded,
  loadFailed,
  loadRequested,
  merged,
  requested,
  snapshotCreated,
  snapshotLoaded,
  taken,
} from './story/events.ts';
import { given, lineageOf, played } from './story/given.ts';
import { snapshotOfTag, tagOf } from './vm.ts';

const ID_1 = '3fab28c9-a6bd-4659-b9bc-683780d8a2d5';
const ID_2 = '54ad75b9-552e-4fd1-852b-a1a20ac66bf5';

// The wiki page of 2010, "Snapshotting Improvements": every problem it lists, by its own name.
describe('the six problems of 2010:', () => {
  test('ID and TAG confusion: where "2" is the id of one and the name of another, a load takes the id', () => {
    const namedTwo = [requested('1', null, { name: '2' }), snapshotCreated('1')];
    given(namedTwo).when(load('2')).refuses('snapshot-unknown');
    given(namedTwo, requested('2', '1', { name: 'x' }), snapshotCreated('2'))
      .when(load('2'))
      .records(loadRequested('2'));
  });

  test('ID and TAG confusion: no tag of ours is a number, so QEMU cannot take it for one of its ids', () => {
    expect(Number.isNaN(Number(tagOf('2')))).toBe(true);
    expect(snapshotOfTag('2')).toBeNull();
    expect(snapshotOfTag(tagOf(ID_1))).toBe(ID_1);
  });

  test('snapshot overwriting, by id: savevm with an id that is there is refused', () => {
    given(taken('1'), taken('2', '1'))
      .when(create('2', { name: 'again' }))
      .refuses('id-used');
  });

  test('snapshot overwriting, by tag: savevm test1 again is refused and test1 stays', () => {
    given(taken('test1'), taken('test2', 'test1'))
      .when(create('third', { name: 'test1' }))
      .refuses('name-taken', { snapshotId: 'test1' });
  });

  test('current/previous: the ledger knows which snapshot is loaded now', () => {
    const vm = played(savevm('a'), savevm('b'), savevm('c'), loadvm('a'));
    expect(vm.current).toEqual({ id: 'a', confidence: 'known' });
  });

  test('current/previous: every load stands in the log', () => {
    given(taken('a'), loadRequested('a')).when(reportLoaded('a')).records(snapshotLoaded('a'));
  });

  test('inheritance: after savevm a, b, c, d; loadvm b; savevm e the parent of e is b, not the newer d', () => {
    const vm = played(savevm('a'), savevm('b'), savevm('c'), savevm('d'), loadvm('b'), savevm('e'));
    expect(lineageOf(vm)).toEqual({ a: null, b: 'a', c: 'b', d: 'c', e: 'b' });
  });

  test('monitor does not show all devices: the request names every disk, the snapshot its trace on every disk', () => {
    const snapshot = given(taken('a')).vm.snapshots.get('a');
    expect(snapshot?.disks.map(({ device }) => device)).toEqual(['vda', 'vdb']);
    expect(snapshot?.evidence.map(({ device, tag }) => [device, tag])).toEqual([
      ['vda', tagOf('a')],
      ['vdb', tagOf('a')],
    ]);
  });

  test('mixing disks, loading without checking all devices: what one disk lacks was never taken', () => {
    given(requested('4'))
      .when(reportCreated('4', { evidence: [evidence('4', 'vda')] }))
      .refuses('snapshot-damaged');
    given(requested('4'), createFailed('4')).when(load('4')).refuses('snapshot-unknown');
  });

  test('mixing disks, loading without checking all devices: a load that one disk refuses changes nothing', () => {
    given(taken('a'), taken('b', 'a'), loadRequested('a'))
      .when(reportFailed('load-a', { reason: 'snapshot-damaged', message: 'vdb has no such snapshot' }))
      .records(loadFailed('a', { reason: 'snapshot-damaged', message: 'vdb has no such snapshot' }));
    expect(given(taken('a'), taken('b', 'a'), loadRequested('a'), loadFailed('a')).vm.current).toEqual({
      id: 'b',
      confidence: 'known',
    });
  });

  test('mixing disks, id collision: an id is not a count, so that of a deleted snapshot never comes back', () => {
    given(taken(ID_1), taken(ID_2, ID_1), merged(ID_2))
      .when(create(ID_2, { name: 'new' }))
      .refuses('id-used');
  });
});

// The letter of April 2010 that asked for UUIDs and parents.
describe('the three cases of 2010:', () => {
  test('case A: a snapshot without a name is the same one on every disk, however many each had before', () => {
    const onFirst = { ...evidence(ID_1, 'vda'), nativeId: '4' };
    const onSecond = { ...evidence(ID_1, 'vdb'), nativeId: '3' };
    const vm = played(createUnnamed(ID_1), reportCreated(ID_1, { evidence: [onFirst, onSecond] }));
    const snapshot = vm.snapshots.get(ID_1);
    expect(snapshot?.name).toBe('snap-683780d8a2d5');
    expect(snapshot?.evidence.map(({ tag }) => tag)).toEqual([tagOf(ID_1), tagOf(ID_1)]);
    given(taken('1'), taken('2', '1')).when(load('4')).refuses('snapshot-unknown');
  });

  test('case B: a used id is not used again, so no disk loses its snapshot while another gains one', () => {
    given(taken('4'))
      .when(create('4', { name: 'another' }))
      .refuses('id-used');
    given(taken('4'), merged('4')).when(create('4')).refuses('id-used');
  });

  test('case C: the ledger keeps the current snapshot, and with each new one its parent', () => {
    expect(given(taken('a'), taken('b', 'a'), loaded('a')).vm.current.id).toBe('a');
    given(taken('a'), taken('b', 'a'), loaded('a')).when(create('c')).records(requested('c', 'a'));
    given(taken('a'), taken('b', 'a'), merged('b')).when(create('c')).records(requested('c', 'a'));
  });
});

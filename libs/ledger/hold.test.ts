import { describe, expect, test } from 'vitest';
import { cancel, load, release, reportCreated, reportFailed, reportLoaded } from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  fact,
  held,
  leftover,
  leftoverRemoved,
  loaded,
  loadFailed,
  loadRequested,
  released,
  requested,
  snapshotLoaded,
  taken,
} from './story/events.ts';
import { given } from './story/given.ts';
import type { Command } from './commands.ts';

const onVda = leftover('b', 'vda');
const onVdb = leftover('b', 'vdb');
const heldBy = (...leftovers: (typeof onVda)[]) => [
  ...taken('a'),
  requested('b', 'a'),
  createFailed('b', held(...leftovers)),
];
const reportRemoved = (id: string, device: string): Command => ({
  type: 'ReportLeftoverRemoved',
  leftover: { snapshotId: null, device, file: `/images/${device}.qcow2`, tag: leftover(id).tag },
});

describe('what is left holds the VM:', () => {
  test('a failed create with something left is held, whatever its report calls it', () => {
    given(requested('a'))
      .when(reportFailed('create-a', { outcome: 'undone', leftovers: [leftover('a')] }))
      .records(createFailed('a', held(leftover('a'))));
  });

  test('the leftovers are named while they are there', () => {
    expect(given(heldBy(onVda, onVdb)).vm.hold).toEqual({
      operationId: 'create-b',
      reason: 'refused-by-qemu',
      message: 'QEMU said no',
      leftovers: [onVda, onVdb],
      isTorn: false,
    });
  });

  test('each that goes is named as gone, with the snapshot it was of', () => {
    const id = '3fab28c9-a6bd-4659-b9bc-683780d8a2d5';
    given(requested(id), createFailed(id, held(leftover(id))))
      .when(reportRemoved(id, 'vda'))
      .records(leftoverRemoved(id, 'vda'));
  });

  test('one that was never there, or is gone, is not gone again', () => {
    const removed = fact('LeftoverRemoved', { ...leftoverOf(onVda), snapshotId: null });
    given(heldBy(onVda, onVdb), removed).when(reportRemoved('b', 'vda')).records();
    given(heldBy(onVda)).when(reportRemoved('b', 'vdb')).records();
    given(taken('a')).when(reportRemoved('b', 'vda')).records();
  });

  test('one that goes takes nothing else of its disk along', () => {
    const moved = { ...onVda, file: '/images/moved.qcow2' };
    const gone = fact('LeftoverRemoved', { ...leftoverOf(onVda), snapshotId: null });
    expect(given(heldBy(onVda, leftover('c'), moved), gone).vm.hold?.leftovers).toEqual([
      leftover('c'),
      moved,
    ]);
  });

  test('when the last is gone nothing holds the VM', () => {
    const gone = [onVda, onVdb].map((left) =>
      fact('LeftoverRemoved', { ...leftoverOf(left), snapshotId: null }),
    );
    expect(given(heldBy(onVda, onVdb), gone.slice(0, 1)).vm.hold?.leftovers).toEqual([onVdb]);
    expect(given(heldBy(onVda, onVdb), gone).vm.hold).toBeNull();
  });
});

describe('a load on a held VM', () => {
  test('is accepted, and so are its report and its cancel', () => {
    given(heldBy(onVda)).when(load('a')).records(loadRequested('a'));
    given(heldBy(onVda), loadRequested('a')).when(reportLoaded('a')).records(snapshotLoaded('a'));
    given(heldBy(onVda), loadRequested('a'))
      .when(cancel('load-a'))
      .records(
        loadFailed('a', { reason: 'canceled', message: 'canceled before it started; nothing was touched' }),
      );
  });

  test('that succeeds lifts a hold with nothing left', () => {
    const torn = [...taken('a'), loadRequested('a'), loadFailed('a', held())];
    expect(given(torn, loaded('a')).vm).toMatchObject({
      hold: null,
      current: { id: 'a', confidence: 'known' },
    });
  });

  test('that succeeds does not make forget what is still left', () => {
    expect(given(heldBy(onVda), loaded('a')).vm.hold?.leftovers).toEqual([onVda]);
  });

  test('that fails and is undone leaves the VM held as before', () => {
    const { vm } = given(heldBy(onVda), loadRequested('a'), loadFailed('a'));
    expect(vm.hold).toMatchObject({ operationId: 'create-b', leftovers: [onVda] });
  });

  test('that tears the disks adds to what is left and forgets nothing of it', () => {
    const { vm } = given(heldBy(onVda), loadRequested('a'), loadFailed('a', held(onVdb)));
    expect(vm.hold).toMatchObject({ operationId: 'load-a', leftovers: [onVda, onVdb] });
  });

  test('names a thing that is left once, however often it was met', () => {
    expect(given(heldBy(onVda, onVda)).vm.hold?.leftovers).toEqual([onVda]);
    const { vm } = given(heldBy(onVda), loadRequested('a'), loadFailed('a', held(onVda)));
    expect(vm.hold?.leftovers).toEqual([onVda]);
  });
});

describe('torn disks', () => {
  const torn = [...heldBy(onVda), loadRequested('a'), loadFailed('a', held())];
  const removed = fact('LeftoverRemoved', { ...leftoverOf(onVda), snapshotId: null });
  test('hold the VM even when nothing of ours is left: removing a tag mends no content', () => {
    expect(given(torn, removed).vm.hold).toMatchObject({ operationId: 'load-a', leftovers: [] });
  });

  test('are whole again after a load, and then the VM is free', () => {
    expect(given(torn, removed, loaded('a')).vm.hold).toBeNull();
    expect(given(torn, loaded('a'), removed).vm.hold).toBeNull();
  });
});

describe('a release', () => {
  test('lifts the hold, and its note stands in the log', () => {
    given(heldBy(onVda)).when(release('took it off by hand')).records(released('took it off by hand'));
    expect(given(heldBy(onVda), released()).vm.hold).toBeNull();
  });

  test('of a VM that is not held is nothing', () => {
    given(taken('a')).when(release()).records();
  });

  test('takes a note that is text: what the log cannot hold is refused', () => {
    given(heldBy(onVda)).when(release('\ud800')).refuses('invalid-body');
    given(heldBy(onVda))
      .when(release('x'.repeat(64 * 1024 + 1)))
      .refuses('invalid-body');
  });
});

test('a report of an operation that was not the last is none', () => {
  given(heldBy(onVda)).when(reportCreated('b')).records();
});

test('a delete that is held leaves its snapshots suspect after the release too', () => {
  const { vm } = given(
    taken('a'),
    deleteRequested('a', 'merge', 'a'),
    deleteFailed('a', held(leftover('a'))),
    released(),
  );
  expect(vm.hold).toBeNull();
  expect(vm.snapshots.get('a')?.status).toBe('suspect');
});

function leftoverOf({ device, file, tag }: typeof onVda) {
  return { device, file, tag };
}

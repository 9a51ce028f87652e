import { describe, expect, test } from 'vitest';
import type { Command } from './commands.ts';
import { decide } from './decide.ts';
import { FINDINGS_MAX, TRACES_MAX, TRACES_OF_ONE_MAX } from './drift.ts';
import type { DataOf } from './events.ts';
import type { Finding } from './shapes.ts';
import {
  create,
  release,
  reportCreated,
  reportDeleted,
  reportFailed,
  reportLoaded,
} from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  driftFound,
  fact,
  found,
  loadFailed,
  loadRequested,
  released,
  requested,
  snapshotDeleted,
  snapshotLoaded,
  strange,
  taken,
  VDA,
  VDB,
} from './story/events.ts';
import { after, given } from './story/given.ts';
import type { Vm } from './vm.ts';

const look = (findings: readonly Finding[]): Command => ({
  type: 'ReportDrift',
  ...{ disks: [VDA, VDB], foreignTags: [], findings, stopped: false },
});
const wrong = found('wrong-chain', { device: 'vda', file: '/images/vda.qcow2' });
const spoiled = found('wrong-chain', { snapshotId: 'a', file: '/images/vda.qcow2' });
const held = { reason: 'vm-held' as const };
const suspect = { snapshotId: 'a', status: 'suspect' as const };

const dataOf = (findings: Finding[], vm: Vm): DataOf<'DriftFound'> => {
  const [event] = decide(look(findings), vm);
  if (event?.type !== 'DriftFound') throw new Error('no drift was recorded');
  return event.data;
};

const twice = (tag: string): Finding => strange(tag, Array<string>(TRACES_OF_ONE_MAX + 1).fill('vda'));

describe('what was found is over without a look', () => {
  test('when a load has put the machine where it belongs, but not for what a guest has written into', () => {
    const held = [
      ...taken('a'),
      ...taken('b', 'a'),
      driftFound([wrong, spoiled], [{ ...suspect, spoiled: true }]),
    ];
    given(held, loadRequested('b'))
      .when(reportLoaded('b'))
      .records(snapshotLoaded('b'), driftFound([spoiled]));
    given(held, loadRequested('b'), snapshotLoaded('b'), driftFound([spoiled]))
      .when(create('c'))
      .records(requested('c', 'b'));
  });

  test('and what a load has left of an earlier present is found without one, beside what is known', () => {
    const orphan = found('orphan', { device: 'vda', file: '/images/vda.qcow2', tag: 'sl-p' });
    given(taken('a'), driftFound([strange('x')]), loadRequested('a'))
      .when({ ...reportLoaded('a'), orphans: [orphan] })
      .records(snapshotLoaded('a'), driftFound([strange('x'), orphan]));
  });

  test('when an operation has failed of where the machine stands: that is known in its place, and holds the VM', () => {
    const old = { ...wrong, message: 'it was elsewhere then' };
    const astray = { findings: [wrong, spoiled], stopped: true };
    const told = driftFound([wrong, spoiled, strange('x')], [{ ...suspect, spoiled: true }], true);
    const history = [...taken('a'), driftFound([old, strange('x')]), released(), ...taken('b', 'a')];
    for (const [asked, operationId, ended] of [
      [requested('c', 'b'), 'create-c', createFailed('c', held)],
      [loadRequested('b'), 'load-b', loadFailed('b', held)],
      [deleteRequested('a', 'merge', 'a'), 'delete-a', deleteFailed('a', held)],
    ] as const)
      given(history, asked)
        .when({ ...reportFailed(operationId, held), astray })
        .records(ended, told);
    given(history, deleteRequested('a', 'merge', 'a'), deleteFailed('a', held), told)
      .when(create('c'))
      .refuses('vm-held');
  });

  test('when what it was about is gone', () => {
    const missing = found('missing', { snapshotId: 'a' });
    given(taken('a'), driftFound([missing, strange('x')], [{ ...suspect, status: 'lost' }]))
      .when(create('b'))
      .records(requested('b', 'a'));
    given(
      taken('a'),
      driftFound([missing, strange('x')], [{ ...suspect, status: 'lost' }]),
      deleteRequested('a', 'merge', 'a'),
    )
      .when(reportDeleted('a'))
      .records(snapshotDeleted('a'), driftFound([strange('x')]));
  });

  test('when what the machine stands on is known anew', () => {
    const finding = found('wrong-current', { snapshotId: 'a', device: 'vda' });
    const [, created] = taken('b', 'a');
    given(taken('a'), driftFound([finding]), requested('b', 'a'))
      .when(reportCreated('b'))
      .records(created ?? [], driftFound([]));
    given(taken('a'), driftFound([finding]), loadRequested('a'))
      .when(reportLoaded('a'))
      .records(snapshotLoaded('a'), driftFound([]));
  });

  test('and nothing is recorded of it when nothing was', () => {
    given(taken('a'), driftFound([strange('x')]), loadRequested('a'))
      .when(reportLoaded('a'))
      .records(snapshotLoaded('a'));
  });
});

describe('a release', () => {
  const seen: Command = { type: 'ReleaseHold', note: 'looked at it', isSeen: true };

  test('lifts no wrong chain that was seen a moment ago', () => {
    given(taken('a'), driftFound([wrong]))
      .when(seen)
      .refuses('vm-held');
    given(taken('a'), driftFound([wrong]))
      .when(release())
      .records(released(), driftFound([]));
  });

  test('calls whole what a guest has written into, also once the machine stands right', () => {
    const standings = [{ ...suspect, spoiled: true as const }];
    given(taken('a'), driftFound([spoiled, strange('x')], standings))
      .when(seen)
      .records(released(), driftFound([strange('x')], [{ snapshotId: 'a', status: 'complete' }]));
  });

  test('of what is not held records nothing', () => {
    given(taken('a'), driftFound([strange('x')]))
      .when(seen)
      .records();
  });
});

describe('more than one event lists', () => {
  const crowd = Array.from({ length: FINDINGS_MAX }, (_, at) => strange(`x${at}`, ['vda']));
  test('is counted, and judges the snapshots all the same', () => {
    const { vm } = given(taken('a'));
    const data = dataOf([...crowd, found('partial', { snapshotId: 'a' })], vm);
    expect(data).toMatchObject({ unlisted: 1, standings: [suspect] });
    expect(data.findings).toHaveLength(FINDINGS_MAX);
  });

  test('is found again without a word, and is no better for what is over of the rest', () => {
    const findings = [...crowd, found('partial', { snapshotId: 'a' })];
    const { vm } = given(taken('a'));
    const before = after([fact('DriftFound', dataOf(findings, vm))], vm);
    expect(decide(look(findings), before)).toEqual([]);
    const adopted = decide({ type: 'AdoptSnapshots', names: [], ids: [] }, before);
    expect(adopted).toEqual([]);
    expect(before.snapshots.get('a')?.status).toBe('suspect');
    const [better] = decide(look(crowd), before);
    expect(better).toMatchObject({ data: { standings: [{ snapshotId: 'a', status: 'complete' }] } });
  });

  test('leaves what a guest has written into spoiled, though nothing lists it', () => {
    const { vm } = given(taken('a'));
    const before = after([fact('DriftFound', dataOf([...crowd, spoiled], vm))], vm);
    expect(before.snapshots.get('a')).toMatchObject({ status: 'suspect', spoiled: true });
    expect(decide(release(), before)).toMatchObject([
      { type: 'HoldReleased' },
      { data: { unlisted: 1, standings: [{ snapshotId: 'a', status: 'complete' }] } },
    ]);
  });

  test('was seen on the disks: no finding tells more than so many traces, and neither do all of them', () => {
    const { vm } = given(taken('a'));
    const data = dataOf(
      Array.from({ length: 100 }, (_, at) => twice(`x${at}`)),
      vm,
    );
    expect(data.findings[0]?.evidence).toHaveLength(TRACES_OF_ONE_MAX);
    const traces = data.findings.flatMap(({ evidence }) => evidence);
    expect(traces.length).toBeLessThanOrEqual(TRACES_MAX);
    expect(data.findings.length + (data.unlisted ?? 0)).toBe(100);
  });
});

test('an adoption of more than was looked at is to be asked for again', () => {
  given(driftFound([strange('old'), strange('new')]))
    .when({ type: 'AdoptSnapshots', ids: ['id-1'] })
    .refuses('plan-changed');
});

import { describe, expect, test } from 'vitest';
import type { Command } from './commands.ts';
import { driftConditions } from './drift.ts';
import type { Finding } from './shapes.ts';
import {
  create,
  deleteAll,
  forget,
  load,
  merge,
  release,
  rename,
  reportCreated,
  retire,
} from './story/commands.ts';
import {
  deleteFailed,
  deleteRequested,
  driftFound,
  fact,
  found,
  held,
  loadRequested,
  registered,
  released,
  requested,
  retired,
  strange,
  taken,
  VDA,
  VDB,
} from './story/events.ts';
import { given } from './story/given.ts';

const look = (findings: readonly Finding[], stopped = false): Command => ({
  type: 'ReportDrift',
  ...{ disks: [VDA, VDB], foreignTags: [], findings, stopped },
});
const missing = found('missing', { snapshotId: 'a' });
const partial = found('partial', { snapshotId: 'a', device: 'vda' });
const wrong = found('wrong-chain', { device: 'vda', file: '/images/vda.qcow2' });

describe('a look at a whole machine', () => {
  test('records nothing where all is as it should be', () => {
    given(taken('a')).when(look([])).records();
  });

  test('finds a snapshot lost that is on none of its disks', () => {
    given(taken('a'))
      .when(look([missing]))
      .records(driftFound([missing], [{ snapshotId: 'a', status: 'lost' }]));
  });

  test('does not call whole again what a delete has half taken', () => {
    given(
      taken('a'),
      driftFound([partial], [{ snapshotId: 'a', status: 'suspect' }]),
      deleteRequested('a', 'merge', 'a'),
      deleteFailed('a', held()),
    )
      .when(look([]))
      .records(driftFound([]));
  });

  test.each(['partial', 'duplicate', 'renamed', 'wrong-chain'] as const)(
    'finds a snapshot suspect that is %s',
    (kind) => {
      const finding = found(kind, { snapshotId: 'a' });
      const standing = { snapshotId: 'a', status: 'suspect' as const };
      given(taken('a'))
        .when(look([finding]))
        .records(driftFound([finding], [{ ...standing, ...(kind === 'wrong-chain' && { spoiled: true }) }]));
    },
  );

  test.each(['orphan', 'foreign', 'wrong-current', 'config-changed'] as const)(
    'blames no snapshot for what is %s',
    (kind) => {
      given(taken('a'))
        .when(look([found(kind, { device: 'vda' })]))
        .records(driftFound([found(kind, { device: 'vda' })]));
    },
  );

  test('that finds the same again records nothing, in whatever order the log gives it back', () => {
    const { kind, message, evidence, ...about } = partial;
    const turned = { evidence, ...about, message, kind };
    given(taken('a'), driftFound([turned], [{ snapshotId: 'a', status: 'suspect' }]))
      .when(look([partial]))
      .records();
  });

  test('that finds all whole again lets every snapshot stand where it stood', () => {
    const found = [driftFound([missing], [{ snapshotId: 'a', status: 'lost' }])];
    given(taken('a'), found)
      .when(look([]))
      .records(driftFound([], [{ snapshotId: 'a', status: 'complete' }]));
    given(taken('a'), retired('a'), found)
      .when(look([]))
      .records(driftFound([], [{ snapshotId: 'a', status: 'retired' }]));
  });

  test('may find worse, and then better, and forgets nothing of where it began', () => {
    const lost = driftFound([missing], [{ snapshotId: 'a', status: 'lost' }]);
    const suspect = driftFound([partial], [{ snapshotId: 'a', status: 'suspect' }]);
    given(taken('a'), retired('a'), suspect, lost, suspect)
      .when(look([]))
      .records(driftFound([], [{ snapshotId: 'a', status: 'retired' }]));
  });

  test('says first that the machine has other disks', () => {
    const moved = { ...VDB, node: 'other' };
    given(taken('a'))
      .when({
        type: 'ReportDrift',
        disks: [VDA, moved],
        foreignTags: [],
        findings: [missing],
        stopped: false,
      })
      .records(
        fact('DisksChanged', { disks: [VDA, moved], foreignTags: [] }),
        driftFound([missing], [{ snapshotId: 'a', status: 'lost' }]),
      );
  });

  test('is taken of no machine that somebody works on', () => {
    given(requested('a')).when(look([])).refuses('vm-busy');
    given(taken('a'), loadRequested('a'))
      .when(look([missing]))
      .refuses('vm-busy');
  });

  test('a lost snapshot is not loaded, is not retired, and may be deleted', () => {
    const lost = [taken('a'), driftFound([missing], [{ snapshotId: 'a', status: 'lost' }])].flat();
    given(lost).when(load('a')).refuses('not-loadable');
    given(lost).when(retire('a')).refuses('not-complete');
    given(lost)
      .when(merge('a'))
      .records(deleteRequested('a', 'merge', 'a'));
  });
});

describe('a machine on a wrong chain', () => {
  const held = [taken('a'), driftFound([wrong])].flat();

  test('is held: nothing is done to it but a load, which saves nothing of the present', () => {
    for (const command of [create('b'), rename('a', 'x'), retire('a'), deleteAll, forget])
      given(held).when(command).refuses('vm-held');
    given(held)
      .when(load('a', { pin: { snapshotId: 'p', what: 'disks' } }))
      .records(loadRequested('a'));
  });

  test('is recorded anew when it had to be stopped again', () => {
    given(held)
      .when(look([wrong], true))
      .records(driftFound([wrong], [], true));
    given(held)
      .when(look([wrong]))
      .records();
  });

  test('is held until a look finds it right', () => {
    given(held).when(look([])).records(driftFound([]));
    given(held, driftFound([])).when(create('b')).records(requested('b', 'a'));
  });

  test('or until somebody releases it, and with it the snapshots that it has written into', () => {
    const spoiled = found('wrong-chain', { snapshotId: 'a', file: '/images/vda.qcow2' });
    given(taken('a'), driftFound([wrong, spoiled, strange('x')], [{ snapshotId: 'a', status: 'suspect' }]))
      .when(release())
      .records(released(), driftFound([strange('x')], [{ snapshotId: 'a', status: 'complete' }]));
  });
});

const adopt = (names?: string[]): Command => ({
  type: 'AdoptSnapshots',
  ...(names && { names }),
  ids: ['id-1', 'id-2', 'id-3'],
});
const adopted = (id: string, tag: string, more: object = {}) =>
  fact('SnapshotAdopted', {
    ...{ snapshotId: id, name: tag, nameGiven: true, tag, parentId: null },
    disks: ['vda', 'vdb'].map((device) => ({ device, mode: 'internal' as const })),
    ...{ memory: { mode: 'none' as const }, vmState: 'shutoff' as const, consistency: 'offline' as const },
    evidence: strange(tag).evidence,
    ...more,
  });

describe('foreign snapshots', () => {
  test('are adopted when they are on every disk, and keep their tags', () => {
    given(driftFound([strange('old'), strange('half', ['vda'])]))
      .when(adopt())
      .records(adopted('id-1', 'old'), driftFound([strange('half', ['vda'])]));
  });

  test('come in the order of their dates, without a parent: nothing on a disk tells it', () => {
    const late = strange('late', ['vda', 'vdb'], { date: 2 });
    const early = strange('early', ['vda', 'vdb'], { date: 1 });
    given(driftFound([late, early]))
      .when(adopt())
      .records(
        adopted('id-1', 'early', { evidence: early.evidence }),
        adopted('id-2', 'late', { evidence: late.evidence }),
        driftFound([]),
      );
  });

  test('have memory when a disk holds some of it', () => {
    const finding = strange('warm', ['vda', 'vdb'], { vmStateSizeBytes: 7, vmClockNs: 5 });
    const memory = { mode: 'internal', device: 'vda', sizeBytes: 7 };
    const { evidence } = finding;
    given(driftFound([finding]))
      .when(adopt())
      .records(
        adopted('id-1', 'warm', { memory, vmState: 'running', consistency: 'memory', evidence }),
        driftFound([]),
      );
  });

  test.each(['a', '3fab28c9-a6bd-4659-b9bc-683780d8a2d5', 'tab\there'])(
    'get a name that is made up when their own cannot be one: %j',
    (tag) => {
      given(taken('a'), driftFound([strange(tag)]))
        .when(adopt())
        .records(adopted('id-1', tag, { name: 'snap-id-1', nameGiven: false }), driftFound([]));
    },
  );

  test('of an earlier life of the machine are still who they were', () => {
    const id = '3fab28c9-a6bd-4659-b9bc-683780d8a2d5';
    given(driftFound([strange(`sl-${id}`)]))
      .when(adopt())
      .records(adopted(id, `sl-${id}`), driftFound([]));
  });

  test('that are asked for by name and cannot be adopted are refused, and none of the others is', () => {
    const known = driftFound([
      strange('half', ['vda']),
      strange('whole'),
      found('duplicate', { tag: 'twice' }),
    ]);
    given(known)
      .when(adopt(['whole', 'half']))
      .refuses('snapshot-damaged', { devices: ['vdb'] });
    given(known)
      .when(adopt(['twice']))
      .refuses('snapshot-damaged');
    given(known)
      .when(adopt(['nobody']))
      .refuses('snapshot-unknown');
    given(known).when(adopt([])).records();
  });

  test('make the present uncertain where nothing was known of it, and free their names', () => {
    const { vm } = given(
      registered({ foreignTags: [{ device: 'vda', tag: 'old' }] }),
      adopted('id-1', 'old'),
    );
    expect(vm.current).toEqual({ id: null, confidence: 'assumed' });
    expect(vm.foreignTags).toEqual([]);
    expect(vm.snapshots.get('id-1')).toMatchObject({ nativeTag: 'old', status: 'complete' });
  });

  test('are not adopted while somebody works on the machine', () => {
    given(driftFound([strange('old')]), requested('b'))
      .when(adopt())
      .refuses('vm-busy');
    given(driftFound([strange('old'), wrong]))
      .when(adopt())
      .refuses('vm-held');
  });
});

test('drift is shown as one condition for what holds the VM and one for all else', () => {
  expect(driftConditions({ findings: [] })).toEqual([]);
  expect(driftConditions({ findings: [wrong, missing, partial, partial], unlisted: 3 })).toEqual([
    { type: 'WrongChain', reason: 'wrong-chain', message: 'it is wrong-chain' },
    { type: 'Drift', reason: 'missing, partial', message: 'it is missing (and 5 more)' },
  ]);
});

test('a create that is under way is not judged by what was found before', () => {
  given(driftFound([strange('x')]), requested('a'))
    .when(reportCreated('a'))
    .records(...taken('a').slice(1));
});

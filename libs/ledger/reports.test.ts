import { describe, expect, test } from 'vitest';
import type { Command } from './commands.ts';
import { reportCreated, reportDeleted, reportFailed, reportLoaded, start } from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  evidence,
  fact,
  loadFailed,
  loadRequested,
  loaded,
  merged,
  requested,
  snapshotCreated,
  snapshotDeleted,
  snapshotLoaded,
  started,
  taken,
  VDA,
  VDB,
} from './story/events.ts';
import { given } from './story/given.ts';

const look = (more: Partial<typeof VDA> = {}, ...tags: string[]): Command => ({
  type: 'ReportDisks',
  disks: [VDA, { ...VDB, ...more }],
  foreignTags: tags.map((tag) => ({ device: 'vda', tag })),
});

describe('the start of an operation', () => {
  test('is recorded once, before anything is touched', () => {
    given(requested('a')).when(start('create-a', 'a')).records(started('create-a', 'a'));
    expect(given(requested('a'), started('create-a', 'a')).vm.operation?.started?.worker).toBe('worker-1');
  });

  test('is refused when the operation has ended, or is another', () => {
    given(taken('a')).when(start('create-a', 'a')).refuses('not-cancelable');
    given(requested('a')).when(start('create-b', 'b')).refuses('not-cancelable');
  });

  test('is refused to the second worker', () => {
    given(requested('a'), started('create-a', 'a')).when(start('create-a', 'a')).refuses('not-cancelable');
  });
});

describe('a report ends its operation:', () => {
  test('created', () => {
    given(requested('a'), started('create-a', 'a')).when(reportCreated('a')).records(snapshotCreated('a'));
  });

  test('loaded', () => {
    given(taken('a'), loadRequested('a')).when(reportLoaded('a')).records(snapshotLoaded('a'));
  });

  test('deleted', () => {
    given(taken('a'), deleteRequested('a', 'merge', 'a'))
      .when(reportDeleted('a'))
      .records(snapshotDeleted('a'));
  });

  test('failed, each in its own words', () => {
    given(requested('a')).when(reportFailed('create-a')).records(createFailed('a'));
    given(taken('a'), loadRequested('a')).when(reportFailed('load-a')).records(loadFailed('a'));
    given(taken('a'), deleteRequested('a', 'merge', 'a'))
      .when(reportFailed('delete-a'))
      .records(deleteFailed('a'));
  });

  test('whose request it answers is known by the event that asked', () => {
    expect(given(requested('a')).vm.operation?.requestId).toBe('event-1');
  });
});

describe('a second report changes nothing:', () => {
  const all: Command[] = ['create-a', 'load-a', 'delete-a'].flatMap((id) => [reportFailed(id)]);
  const again = [reportCreated('a'), reportLoaded('a'), reportDeleted('a'), ...all];
  test.each([
    ['a create that ended well', given(taken('a'))],
    ['a create that failed', given(requested('a'), createFailed('a'))],
    ['a load that ended well', given(taken('a'), loaded('a'))],
    ['a load that failed', given(taken('a'), loadRequested('a'), loadFailed('a'))],
    ['a delete that ended well', given(taken('a'), merged('a'))],
    ['a delete that failed', given(taken('a'), deleteRequested('a', 'merge', 'a'), deleteFailed('a'))],
  ])('%s', (_, story) => {
    for (const report of again) story.when(report).records();
  });

  test('not even while the next operation is open', () => {
    for (const report of again) given(taken('a'), requested('b', 'a')).when(report).records();
  });
});

test('a report that does not fit what was asked ends nothing', () => {
  given(requested('a'))
    .when({ type: 'ReportDeleted', deleted: { operationId: 'create-a', steps: [], transcriptDigest: '' } })
    .records();
  given(requested('a'))
    .when({
      type: 'ReportLoaded',
      loaded: { operationId: 'create-a', runs: true, steps: [], transcriptDigest: '' },
    })
    .records();
  given(taken('a'), loadRequested('a'))
    .when(reportCreated('a', { operationId: 'load-a' }))
    .records();
});

describe('a snapshot is complete when every captured disk shows it:', () => {
  test('evidence of one disk twice is not evidence of two', () => {
    given(requested('a'))
      .when(reportCreated('a', { evidence: [evidence('a', 'vda'), evidence('a', 'vda')] }))
      .refuses('snapshot-damaged', { devices: ['vdb'] });
  });

  test('the trace of another snapshot is no evidence', () => {
    given(requested('a'))
      .when(reportCreated('a', { evidence: [evidence('a', 'vda'), evidence('b', 'vdb')] }))
      .refuses('snapshot-damaged', { devices: ['vdb'] });
  });

  test('a disk that was plugged in since the request belongs to the snapshot that it shows', () => {
    const onThree = { evidence: ['vda', 'vdb', 'vdc'].map((device) => evidence('a', device)) };
    given(requested('a')).when(reportCreated('a', onThree)).records(snapshotCreated('a', onThree));
    const { vm } = given(requested('a'), snapshotCreated('a', onThree));
    expect(vm.snapshots.get('a')?.disks.map(({ device }) => device)).toEqual(['vda', 'vdb', 'vdc']);
  });
});

describe('a look at the disks', () => {
  test('that finds what is known is not recorded', () => {
    given().when(look()).records();
  });

  test('that finds the same in another order of members is not recorded', () => {
    const { device, node, format, file, readOnly, default: mode } = VDB;
    given()
      .when({
        type: 'ReportDisks',
        disks: [VDA, { default: mode, readOnly, file, format, node, device }],
        foreignTags: [],
      })
      .records();
    const foreignTags = [{ device: 'vda', tag: 'old' }];
    given(fact('DisksChanged', { disks: [VDA, VDB], foreignTags }))
      .when({ type: 'ReportDisks', disks: [VDA, VDB], foreignTags: [{ tag: 'old', device: 'vda' }] })
      .records();
  });

  test('that comes late, into the middle of what another worker does, is not recorded', () => {
    const top = { file: '/images/new-top.qcow2' };
    given(requested('a'), started('create-a', 'a')).when(look(top)).records();
    given(requested('a'))
      .when(look(top))
      .records(fact('DisksChanged', { disks: [VDA, { ...VDB, ...top }], foreignTags: [] }));
  });

  test('that finds another node, file, format or tag is recorded', () => {
    for (const more of [
      { node: 'n2' },
      { file: '/images/other.qcow2' },
      { format: 'raw' },
      { readOnly: true },
    ]) {
      given()
        .when(look(more))
        .records(fact('DisksChanged', { disks: [VDA, { ...VDB, ...more }], foreignTags: [] }));
    }
    given()
      .when(look({}, 'old'))
      .records(fact('DisksChanged', { disks: [VDA, VDB], foreignTags: [{ device: 'vda', tag: 'old' }] }));
  });

  test('is believed', () => {
    const { vm } = given(
      fact('DisksChanged', { disks: [VDB], foreignTags: [{ device: 'vdb', tag: 'old' }] }),
    );
    expect(vm).toMatchObject({ disks: [VDB], foreignTags: [{ device: 'vdb', tag: 'old' }] });
  });
});

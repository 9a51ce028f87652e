import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVmEvent, type VmEvent } from '#ledger';
import { expect, test } from 'vitest';
import { VmAudit } from './vm-audit.ts';

/** Only what the audit reads. */
const event = (type: VmEvent['type'], data: object): VmEvent => ({ type, data }) as VmEvent;

const requested = (id: string, parentId: string | null = null, more: object = {}): VmEvent =>
  event('SnapshotRequested', {
    snapshotId: id,
    operationId: `create-${id}`,
    name: `name-${id}`,
    parentId,
    ...more,
  });
const started = (operationId: string): VmEvent => event('OperationStarted', { operationId });
const created = (id: string): VmEvent =>
  event('SnapshotCreated', { snapshotId: id, operationId: `create-${id}` });
const createFailed = (id: string): VmEvent =>
  event('CreateFailed', { snapshotId: id, operationId: `create-${id}`, outcome: 'undone' });
const taken = (id: string, parentId: string | null = null): VmEvent[] => [
  requested(id, parentId),
  started(`create-${id}`),
  created(id),
];
const loadRequested = (id: string): VmEvent =>
  event('LoadRequested', { snapshotId: id, operationId: `load-${id}` });
const loaded = (id: string): VmEvent =>
  event('SnapshotLoaded', { snapshotId: id, operationId: `load-${id}` });
const deleteRequested = (id: string, targets: string[] = [id]): VmEvent =>
  event('DeleteRequested', { snapshotId: id, operationId: `delete-${id}`, targets });
const discarded = (id: string, operationId: string): VmEvent =>
  event('SnapshotDiscarded', { snapshotId: id, operationId });
const deleted = (id: string): VmEvent =>
  event('SnapshotDeleted', { snapshotId: id, operationId: `delete-${id}` });
const renamed = (id: string, name: string): VmEvent => event('SnapshotRenamed', { snapshotId: id, name });

function breachesOf(...events: readonly VmEvent[]): string[] {
  const audit = new VmAudit('vm');
  return events.flatMap((one) => audit.enter(one)).map(({ invariant, words }) => `${invariant} ${words}`);
}

const LOGS = ['v1.jsonl', 'v2.jsonl', 'v3.jsonl'];

test.each(LOGS)('nothing is wrong with the log %s of a release', (file) => {
  const text = readFileSync(join(import.meta.dirname, '../../../test/golden', file), 'utf8');
  const audits = new Map<string, VmAudit>();
  const breaches = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { stream: string; type: string; schemaVersion: string; data: unknown })
    .filter(({ stream }) => stream !== 'registry')
    .flatMap(({ stream, type, schemaVersion, data }) => {
      const audit = audits.get(stream) ?? new VmAudit(stream);
      audits.set(stream, audit);
      return audit.enter(readVmEvent(type, schemaVersion, data));
    });
  const grave = breaches.filter(({ invariant }) => invariant !== 'I19'); // The second machine's story has no starts.
  expect(grave).toEqual([]);
});

test('a history with a load, a branch and a deleted parent is as it must be', () => {
  const history = [
    ...taken('a'),
    ...taken('b', 'a'),
    ...[loadRequested('a'), started('load-a'), loaded('a')],
    ...taken('c', 'a'),
    ...[deleteRequested('a'), started('delete-a'), deleted('a')],
    renamed('c', 'name-a'),
    ...[requested('d', 'c'), createFailed('d')],
    ...taken('e', 'c'),
  ];
  expect(breachesOf(...history)).toEqual([]);
});

test.each([
  ['I3', 'a request that ends twice', [...taken('a'), created('a')]],
  ['I3', 'an end that nobody asked for', [deleted('a')]],
  [
    'I3',
    'a create that ends as a load',
    [
      requested('a'),
      started('create-a'),
      { ...loaded('a'), data: { snapshotId: 'a', operationId: 'create-a' } } as VmEvent,
    ],
  ],
  ['I4', 'a parent that does not exist', [requested('a', 'x')]],
  ['I6', 'a parent that was not current', [...taken('a'), ...taken('b')]],
  ['I7', 'a request while another one is open', [...taken('a'), loadRequested('a'), requested('b', 'a')]],
  [
    'I15',
    'a delete that leaves one of those it named',
    [...taken('a'), ...taken('b', 'a'), deleteRequested('a', ['b', 'a']), started('delete-a'), deleted('a')],
  ],
  [
    'I15',
    'a delete that takes along one it never named',
    [
      ...taken('a'),
      ...taken('b', 'a'),
      deleteRequested('b'),
      started('delete-b'),
      discarded('a', 'delete-b'),
      deleted('b'),
    ],
  ],
  [
    'I16',
    'an id that is given twice',
    [...taken('a'), deleteRequested('a'), started('delete-a'), deleted('a'), ...taken('a')],
  ],
  ['I16', 'a name that two live snapshots bear', [...taken('a'), ...taken('b', 'a'), renamed('b', 'name-a')]],
  ['I16', 'a word about a snapshot that is gone', [renamed('a', 'x')]],
  ['I19', 'a success without a word of its start', [requested('a'), created('a')]],
] satisfies [string, string, VmEvent[]][])('%s: %s is found', (invariant, _what, history) => {
  expect(breachesOf(...history).join('\n')).toMatch(new RegExp(`^${invariant} `, 'm'));
});

test('whoever is busy is known to be', () => {
  const audit = new VmAudit('vm');
  audit.enter(requested('a'));
  expect(audit.isBusy).toBe(true);
  audit.enter(createFailed('a'));
  expect(audit.isBusy).toBe(false);
});

import { describe, expect, test } from 'vitest';
import { FAILURE_CODES, isRetryable, Refusal, REFUSAL_CODES, type RefusalCode } from './refusal.ts';
import {
  cancel,
  change,
  create,
  discard,
  load,
  merge,
  release,
  rename,
  reportCreated,
  retire,
} from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  held,
  leftover,
  protectedFromNow,
  RAW,
  registered,
  released,
  requested,
  retired,
  taken,
  takenOn,
  takenOutside,
} from './story/events.ts';
import { given, givenNothing, refusalOf } from './story/given.ts';
import type { Command } from './commands.ts';
import type { Vm } from './vm.ts';

const a = taken('a');
const suspect = [
  ...a,
  deleteRequested('a', 'merge', 'a'),
  deleteFailed('a', held(leftover('a'))),
  released(),
];

/** One way into every no of `decide`. */
const WAYS: readonly (readonly [RefusalCode, { readonly vm: Vm }, Command])[] = [
  ['vm-unknown', givenNothing(), create('a')],
  ['snapshot-unknown', given(), load('a')],
  ['vm-busy', given(requested('a')), create('b')],
  ['vm-held', given(requested('a'), createFailed('a', held(leftover('a')))), create('b')],
  ['not-loadable', given(a, retired('a')), load('a')],
  ['not-complete', given(suspect), retire('a')],
  ['snapshot-damaged', given(requested('a')), reportCreated('a', { evidence: [] })],
  ['name-taken', given(a), create('b', { name: 'a' })],
  ['id-used', given(a), create('a', { name: 'b' })],
  ['has-children', given(a, taken('b', 'a')), discard('a')],
  ['protected', given(a, protectedFromNow('a')), merge('a')],
  ['too-many-snapshots', given(a), create('b', { limits: { snapshotsMax: 1, chainMax: 64 } })],
  ['not-cancelable', given(a), cancel('create-a')],
  ['invalid-name', given(a), rename('a', '')],
  ['invalid-body', given(a), release('\u0000')],
  ['invalid-combination', given(), create('a', { memory: 'internal', diskOnly: true })],
  ['path-not-allowed', given(), create('a', { memory: 'external', memoryFile: 'memory' })],
  ['no-guest-agent', given(), create('a', { quiesce: 'require', diskOnly: true })],
  ['in-use', given(takenOutside('a')), discard('a')],
  ['would-discard', given(takenOutside('a'), takenOutside('b', 'a'), takenOn('c', 'b')), merge('b')],
  ['nothing-to-snapshot', given(registered({ disks: [] })), create('a')],
  ['disk-unsupported', given(registered({ disks: [RAW] })), change({ defaults: { raw: 'internal' } })],
];

describe('every no has its code:', () => {
  test.each(WAYS)('%s', (code, { vm }, command) => {
    const refusal = refusalOf(command, vm);
    expect(refusal.code).toBe(code);
    expect(refusal.message).not.toBe('');
  });
});

describe('a code', () => {
  test('is worth asking again when time alone may change the answer', () => {
    expect(REFUSAL_CODES.filter(isRetryable)).toEqual([
      'vm-busy',
      'machine-busy',
      'host-unreachable',
      'view-behind',
      'store-unavailable',
      'log-newer',
    ]);
    expect(FAILURE_CODES.filter(isRetryable)).toEqual([]);
  });

  test('has a word that no other has', () => {
    const codes = [...REFUSAL_CODES, ...FAILURE_CODES];
    expect(new Set(codes).size).toBe(codes.length);
  });

  test('travels with its facts', () => {
    expect(new Refusal('vm-busy', 'why', { operationId: 'o' })).toMatchObject({
      code: 'vm-busy',
      message: 'why',
      details: { operationId: 'o' },
    });
    expect(new Refusal('internal', 'why').details).toEqual({});
  });
});

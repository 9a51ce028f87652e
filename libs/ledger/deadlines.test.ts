import { describe, expect, test } from 'vitest';
import { cancel, reportCreated, reportFailed, start } from './story/commands.ts';
import {
  createFailed,
  deleteFailed,
  deleteRequested,
  loadFailed,
  loadRequested,
  requested,
  retired,
  snapshotCreated,
  started,
  taken,
} from './story/events.ts';
import { given } from './story/given.ts';

const canceled = {
  reason: 'canceled',
  message: 'canceled before it started; nothing was touched',
} as const;
const expired = { reason: 'expired', message: 'no worker came to it in time' } as const;

describe('before an operation has started', () => {
  test('its deadline ends it: nothing was touched', () => {
    given(requested('a')).when(reportFailed('create-a', expired)).records(createFailed('a', expired));
    given(taken('a'), loadRequested('a'))
      .when(reportFailed('load-a', expired))
      .records(loadFailed('a', expired));
    given(taken('a'), deleteRequested('a', 'merge', 'a'))
      .when(reportFailed('delete-a', expired))
      .records(deleteFailed('a', expired));
  });

  test('a cancel ends it: nothing was touched', () => {
    given(requested('a')).when(cancel('create-a')).records(createFailed('a', canceled));
    given(taken('a'), loadRequested('a')).when(cancel('load-a')).records(loadFailed('a', canceled));
    given(taken('a'), deleteRequested(null, 'discard-force', 'a'))
      .when(cancel('delete-all'))
      .records(deleteFailed(null, canceled));
  });

  test('a canceled delete leaves each as it was', () => {
    const { vm } = given(
      taken('a'),
      retired('a'),
      deleteRequested('a', 'merge', 'a'),
      deleteFailed('a', canceled),
    );
    expect(vm.snapshots.get('a')?.status).toBe('retired');
    expect(vm.operation).toBeNull();
  });
});

describe('once an operation has started', () => {
  const begun = given(requested('a'), started('create-a', 'a'));
  test('its deadline changes nothing: only evidence ends what has begun', () => {
    begun.when(reportFailed('create-a', expired)).records();
  });

  test('no cancel comes through', () => {
    begun.when(cancel('create-a')).refuses('not-cancelable');
  });

  test('evidence ends it, for better or worse', () => {
    begun.when(reportCreated('a')).records(snapshotCreated('a'));
    begun.when(reportFailed('create-a')).records(createFailed('a'));
  });
});

describe('once an operation has ended', () => {
  test('there is nothing to cancel', () => {
    given(taken('a')).when(cancel('create-a')).refuses('not-cancelable');
    given(requested('a'), createFailed('a', canceled)).when(cancel('create-a')).refuses('not-cancelable');
    given(taken('a'), requested('b', 'a')).when(cancel('create-a')).refuses('not-cancelable');
  });

  test('no worker begins it: whoever lost to a cancel never touches QEMU', () => {
    given(requested('a'), createFailed('a', canceled)).when(start('create-a', 'a')).refuses('not-cancelable');
  });
});

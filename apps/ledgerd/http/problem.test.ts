import { expect, test } from 'vitest';
import { KeyReused, StaleVersion, StoreTrouble, VersionConflict } from '#event-store';
import { REFUSAL_CODES, Refusal } from '#ledger';
import { problemHeaders, problemOf, refusalOf, STATUS } from './problem.ts';

test('every reason has a status, and what may be tried again says when', () => {
  for (const code of REFUSAL_CODES) {
    const refusal = new Refusal(code, 'why');
    const problem = problemOf(refusal, 'r');
    expect(problem).toMatchObject({
      reason: code,
      status: STATUS[code],
      detail: 'why',
      instance: 'urn:uuid:r',
    });
    expect(problemHeaders(refusal)['retry-after']).toBe(problem.retryable ? '1' : undefined);
    if (problem.status === 503) expect(problem.retryable).toBe(true);
  }
});

test('facts of a refusal travel along, and cannot replace what a problem is', () => {
  const problem = problemOf(new Refusal('vm-busy', 'why', { operationId: 'o', status: 'x' }), 'r');
  expect(problem).toMatchObject({ status: 409, operationId: 'o', title: 'Vm busy' });
});

test('every other "no" has its reason', () => {
  const reasons: readonly (readonly [Error, string])[] = [
    [new KeyReused('k'), 'key-reused'],
    [new StaleVersion(1, 2), 'stale-version'],
    [new VersionConflict('s', 1, 2), 'store-unavailable'],
    [new StoreTrouble('full', 'x'), 'no-space'],
    [new StoreTrouble('unavailable', 'x'), 'store-unavailable'],
    [new StoreTrouble('newer', 'x'), 'log-newer'],
  ];
  for (const [error, reason] of reasons) expect(refusalOf(error).code).toBe(reason);
});

test('what should not have happened tells the client nothing', () => {
  const refusal = refusalOf(new TypeError('cannot read /etc/secret'));
  expect(refusal.code).toBe('internal');
  expect(JSON.stringify(problemOf(refusal, 'r'))).not.toContain('secret');
});

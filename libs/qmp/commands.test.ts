import { expect, test } from 'vitest';
import { parseHumanText, parseJobs, parseMigration, parseStatus } from './commands.ts';

test('the run state is read', () => {
  expect(parseStatus({ status: 'postmigrate', singlestep: false, running: false })).toBe('postmigrate');
});

test.each([
  [null, 'query-status: expected an object'],
  [[], 'query-status: expected an object'],
  [{}, 'query-status: expected a member "status"'],
  [{ status: 'asleep' }, /^query-status\.status: expected one of debug, inmigrate/],
])('a run state such as %j is garbled', (reply, message) => {
  expect(() => parseStatus(reply)).toThrow(message);
});

const job = { id: 'j', type: 'stream', status: 'running', 'current-progress': 2, 'total-progress': 3 };

test('jobs are read with their progress rounded down', () => {
  const read = { id: 'j', type: 'stream', status: 'running', error: null, percent: 66 };
  expect(parseJobs([job])).toEqual([read]);
  expect(parseJobs([{ ...job, error: 'no' }])).toEqual([{ ...read, error: 'no' }]);
  expect(parseJobs([{ ...job, 'total-progress': 0 }])).toEqual([{ ...read, percent: 0 }]);
  expect(parseJobs([{ ...job, 'total-progress': 1 }])).toEqual([{ ...read, percent: 100 }]);
  expect(parseJobs([])).toEqual([]);
});

test.each([
  [{ ...job, id: 7 }, 'query-jobs[1].id: expected a text'],
  [{ ...job, 'current-progress': '2' }, 'query-jobs[1].current-progress: expected a number'],
  [{ ...job, status: 'lazy' }, 'query-jobs[1].status: expected one of undefined, created'],
])('a job such as %j is garbled, and the message says where', (second, message) => {
  expect(() => parseJobs([job, second])).toThrow(message);
});

test('a machine that never migrated says so by saying nothing', () => {
  expect(parseMigration({})).toEqual({ status: 'none', error: null, percent: 0 });
  expect(parseMigration({ status: 'failed', 'error-desc': 'Broken pipe' })).toEqual({
    status: 'failed',
    error: 'Broken pipe',
    percent: 0,
  });
  const ram = { total: 300, remaining: 100 };
  expect(parseMigration({ status: 'active', ram })).toMatchObject({ status: 'active', percent: 66 });
  expect(() => parseMigration('')).toThrow('query-migrate: expected an object');
});

test('the text of a human command is read', () => {
  expect(parseHumanText('Error: no\r\n')).toBe('Error: no\r\n');
  expect(() => parseHumanText({})).toThrow('human-monitor-command: expected a text');
});

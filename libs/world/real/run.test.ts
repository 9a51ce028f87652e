import { expect, test } from 'vitest';
import { realRun } from './run.ts';

const SOON = { timeoutMs: 10_000 };
const shell = (script: string, options: object = {}) =>
  realRun('sh', ['-c', script], { ...SOON, ...options });

test('a program gets what it is told in its environment', async () => {
  expect(await shell('echo "$COLOUR"', { env: { COLOUR: 'red' } })).toMatchObject({
    code: 0,
    stdout: 'red\n',
  });
});

test('one that leaves others behind has finished when it exits, though they keep its output open', async () => {
  const options = { leavesOthersBehind: true, env: { COLOUR: 'red' } };
  const finished = await shell('echo "$COLOUR"; echo why >&2; sleep 30 & echo $!; exit 3', options);
  const [said, pid] = finished.stdout.split('\n');
  expect(finished).toMatchObject({ code: 3, stderr: 'why\n' });
  expect(said).toBe('red');
  process.kill(Number(pid), 0); // Throws when it does not live on.
  process.kill(Number(pid));
});

test('one that takes too long is killed, and one that cannot start is told', async () => {
  expect(await shell('exec sleep 30', { timeoutMs: 50, leavesOthersBehind: true })).toMatchObject({
    code: null,
  });
  const missing = await realRun('/no/such/program', [], { ...SOON, leavesOthersBehind: true });
  expect(missing.code).toBeNull();
  expect(missing.stderr).toContain('ENOENT');
});

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { realRun } from './run.ts';

const SOON = { timeoutMs: 10_000, timeout: 10_000 };
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

test('one that would begin too late is not begun', async () => {
  expect(await shell('echo done', { isTooLate: () => true })).toMatchObject({ code: null, stdout: '' });
  expect(await shell('echo done', { isTooLate: () => false })).toMatchObject({ code: 0, stdout: 'done\n' });
});

const nameOf = (pid: string): string => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();

test('one whose starter is killed ends as well', async () => {
  const script = `import { realRun } from '${join(import.meta.dirname, 'run.ts')}';
    await realRun('sleep', ['30'], { timeoutMs: 60_000 });`;
  const starter = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  const childrenOf = `/proc/${starter.pid}/task/${starter.pid}/children`;
  await expect.poll(() => nameOf(readFileSync(childrenOf, 'utf8').trim()), SOON).toBe('sleep');
  const child = readFileSync(childrenOf, 'utf8').trim();
  starter.kill('SIGKILL');
  await expect.poll(() => existsSync(`/proc/${child}`), SOON).toBe(false);
});

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { realConnect } from './connect.ts';

const directory = mkdtempSync(join(tmpdir(), 'snapledger-connect-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('nobody listens where who did is killed before he has taken the call', async () => {
  const path = join(directory, 'listener.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => {
    require('node:fs').writeSync(1, 'listens');
    for (;;);
  });`;
  const listener = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(listener.stdout, 'data');
  const connecting = realConnect(path).catch((error: unknown) => error);
  listener.kill('SIGKILL');
  execFileSync('sleep', ['0.2']); // Nothing is heard of the connection before he is dead.
  expect(await connecting).toMatchObject({ code: 'ECONNREFUSED' });
});

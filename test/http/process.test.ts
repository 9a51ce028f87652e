import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { directory } from './ledgerd.ts';

/** Built before the tests run, see `npm test`. */
const main = join(import.meta.dirname, '../../dist/apps/ledgerd/main.js');

/** A daemon that was to end by itself, and does not. */
const CALLED_TIMEOUT_MS = 20_000;

const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('SNAPLEDGER_')),
);

const called = (args: readonly string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...clean, ...env },
    timeout: CALLED_TIMEOUT_MS,
  });

interface Running {
  readonly child: ChildProcess;
  readonly address: string;
  /** All it has written to stdout so far. */
  output(): string;
}

async function running(data: string, ...args: string[]): Promise<Running> {
  const child = spawn(process.execPath, [main, '--data', data, '--listen', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: clean,
  });
  let output = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => (output += text));
  while (!output.includes('"address"')) {
    if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
    await once(child.stdout, 'data');
  }
  const address = /"address":"([^"]+)"/.exec(output)?.[1] ?? '';
  return { child, address, output: () => output };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exit) as [number | null];
  return code;
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends it in order, with a watcher and a waiting client',
  async (signal) => {
    const { child, address, output } = await running(directory());
    const watching = await fetch(`${address}/v1/watch`);
    expect(await ended(child, signal)).toBe(0);
    expect(await watching.text()).toContain(': watching');
    expect(output()).toContain('"ledgerd has stopped"');
    expect(output()).toContain('without API keys');
  },
);

test('it says who it is, and what it does is one JSON object a line', async () => {
  const { child, address, output } = await running(directory(), '--log-level', 'debug');
  expect((await fetch(`${address}/health/ready`)).status).toBe(200);
  await ended(child, 'SIGTERM');
  const lines = output().trimEnd().split('\n');
  for (const line of lines) expect(JSON.parse(line)).toHaveProperty('msg');
  expect(lines.some((line) => line.includes('/health/ready'))).toBe(true);
});

test('a second one on the same data directory, or at the same address, says why it cannot be', async () => {
  const data = directory();
  const { child, address } = await running(data);
  const second = called(['--data', data, '--listen', '127.0.0.1:0']);
  expect(second.status).toBe(1);
  expect(second.stderr.trim().split('\n')).toHaveLength(1);
  expect(second.stderr).toMatch(/^ledgerd: .*another process/i);
  const beside = called(['--data', directory(), '--listen', address.replace('http://', '')]);
  expect(beside.status).toBe(1);
  expect(beside.stderr).toContain('answers at');
  expect((await fetch(`${address}/health/ready`)).status).toBe(200);
  expect(await ended(child, 'SIGTERM')).toBe(0);
});

test('what it makes is not for everybody on the host to read, whatever the umask', async () => {
  const data = directory();
  const { child } = await running(data);
  await ended(child, 'SIGTERM');
  const files = readdirSync(data);
  expect(files).toContain('ledger.sqlite');
  for (const file of files) expect([file, statSync(join(data, file)).mode & 0o007]).toEqual([file, 0]);
});

test('after a kill -9 the data directory is free, and what was acknowledged is there', async () => {
  const data = directory();
  const one = await running(data);
  await ended(one.child, 'SIGKILL');
  const two = await running(data);
  expect((await fetch(`${two.address}/health/ready`)).status).toBe(200);
  expect(await ended(two.child, 'SIGTERM')).toBe(0);
});

test('a log that cannot be read is told in one sentence, and is not touched', async () => {
  const data = directory();
  mkdirSync(data, { recursive: true });
  const file = join(data, 'ledger.sqlite');
  writeFileSync(file, 'this is not a database, and nobody may make one of it');
  const { status, stderr } = called(['--data', data, '--listen', '127.0.0.1:0']);
  expect(status).toBe(1);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('ledger.sqlite');
});

test.each([
  ['below a directory that makes none', ['--data', '/proc/snapledger/data']],
  ['in a directory that takes no file', ['--data', '/proc']],
  ['with the log elsewhere', ['--data', '/proc', '--store', `sqlite:${directory()}/ledger.sqlite`]],
])('where nothing can be kept it does not start, %s', (_where, args) => {
  const { status, stderr } = called([...args, '--listen', '127.0.0.1:0']);
  expect(status, stderr).toBe(1);
  expect(stderr).toMatch(/^ledgerd: .*(can be (made|kept) in).*\/proc.*\n$/);
});

test('wrong usage ends with 2 and one sentence; --help and --print-config end with 0', () => {
  for (const args of [
    ['--dta', 'x'],
    ['--listen', '0.0.0.0:1'],
    ['--kafka', 'x:1'],
    ['--config', '/nowhere'],
  ]) {
    const { status, stderr } = called(args);
    expect(status, stderr).toBe(2);
    expect(stderr).toMatch(/^ledgerd: .+\n$/);
  }
  expect(called([], { SNAPLEDGER_DAT: 'x' }).status).toBe(2);
  expect(called(['--help']).stdout).toContain('--monitor-root DIR');
  const { status, stdout } = called(['--print-config', '--data', '/d'], { SNAPLEDGER_HOST: 'h' });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ data: '/d', host: 'h' });
});

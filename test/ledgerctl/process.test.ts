import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { fakeLedgerd, type FakeLedgerd, type Route } from './fake-ledgerd.ts';
import { lookups, operation, OPERATION_ID, VM_ID } from './specimens.ts';

const root = join(import.meta.dirname, '../..');

let ledgerd: FakeLedgerd | null = null;
afterEach(async () => {
  await ledgerd?.close();
  ledgerd = null;
});

/** ledgerctl as a process of its own, straight from its sources. */
function started(words: readonly string[], url = 'http://127.0.0.1:1') {
  const args = ['--conditions=source', join(root, 'apps/ledgerctl/main.ts'), ...words];
  const child = spawn(process.execPath, args, { env: { ...process.env, SNAPLEDGER_URL: url } });
  const texts = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.err += text));
  const ended = once(child, 'close').then(([code]: (number | null)[]) => ({ code, ...texts }));
  return { child, ended };
}

const EVENT = {
  type: 'VmForgotten',
  stream: `vm-${VM_ID}`,
  version: '1',
  position: '1',
  recordedAt: '2026-11-21T11:30:00.000Z',
  actor: 'a',
  data: {},
};
const LINE = `${JSON.stringify(EVENT)}\n`;

const serving = async (routes: Readonly<Record<string, Route>>): Promise<string> => {
  ledgerd = await fakeLedgerd({ ...lookups, ...routes });
  return ledgerd.url;
};

test('the process knows its version, and ends with the exit code', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(await started(['--version']).ended).toEqual({ code: 0, out: `${version}\n`, err: '' });
  expect(await started(['list', 'web1']).ended).toMatchObject({ code: 1, out: '' });
  expect(await started(['crate']).ended).toMatchObject({ code: 2, out: '' });
});

test('everything is written before the process ends', async () => {
  const lines = 20_000;
  const url = await serving({ 'GET /v1/events': { body: LINE.repeat(lines) } });
  const { code, out } = await started(['events', '--all', '--json'], url).ended;
  expect({ code, lines: out.split('\n').length - 1 }).toEqual({ code: 0, lines });
});

test('whoever stops reading is no error', async () => {
  const url = await serving({ 'GET /v1/events': { body: LINE.repeat(20_000) } });
  const { child, ended } = started(['events', '--all'], url);
  child.stdout.once('data', () => child.stdout.destroy());
  expect(await ended).toMatchObject({ code: 0, err: '' });
});

test('Ctrl-C ends the waiting with the code for an unknown outcome', async () => {
  const url = await serving({
    [`POST /v1/vms/${VM_ID}/snapshots`]: { status: 202, body: operation() },
    [`GET /v1/operations/${OPERATION_ID}`]: { body: operation({ phase: 'capturing' }) },
  });
  const { child, ended } = started(['create', 'web1'], url);
  child.stderr.on('data', (text: string) => text.includes('capturing') && child.kill('SIGINT'));
  expect(await ended).toMatchObject({ code: 6, err: expect.stringContaining('the create goes on') });
});

test('Ctrl-C ends a watch as it should end', async () => {
  const url = await serving({ 'GET /v1/watch': 'silent' });
  const { child, ended } = started(['watch', VM_ID], url);
  while (ledgerd?.heard.length === 0) await setTimeout(20);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 0, err: '' });
});

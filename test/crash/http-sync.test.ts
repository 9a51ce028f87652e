import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { bootSubject, type Subject } from './machine.ts';

const built = join(import.meta.dirname, '../../dist/test/crash/bombed-ledgerd.js');

afterAll(cleanUp);

/** Whether system calls can be watched here. On a laptop their absence skips, under CI it is an error. */
function needsStrace(): boolean {
  if (spawnSync('strace', ['-V']).status === 0) return true;
  if (process.env['CI'] === 'true') throw new Error('strace not found: install strace');
  console.warn('SKIPPED, the order of fsync and answer is not tested: strace not found');
  return false;
}

describe.runIf(needsQemu() && needsStrace())('what the kernel sees of ledgerd', () => {
  test(
    'no 2xx leaves before the fsync of its event, on the first start and after a restart',
    { timeout: 120_000 },
    async () => {
      const subject = await bootSubject(2);
      const first = await traced(subject, async (ask) => {
        const vm = await ask('POST', '/v1/vms', { name: 'm', monitor: subject.qemu.monitorPath });
        subject.vmId = vm.id;
        await commands(subject, ask);
      });
      const second = await traced(subject, (ask) => commands(subject, ask));
      for (const { request, calls } of [...first, ...second]) {
        expect(calls, request).toMatch(/\bf(data)?sync(\(\d+\)| resumed>\))\s+= 0/);
      }
      expect(first.map(({ request }) => request)).toEqual(['POST', 'POST', 'PATCH']);
      expect(second.map(({ request }) => request)).toEqual(['POST', 'PATCH']);
    },
  );
});

type Ask = (
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  body?: object,
) => Promise<{ id: string; snapshotId: string }>;

async function commands({ vmId }: Subject, ask: Ask): Promise<void> {
  const { id, snapshotId } = await ask('POST', `/v1/vms/${vmId}/snapshots`, { diskOnly: true });
  await ask('PATCH', `/v1/vms/${vmId}/snapshots/${snapshotId}`, { description: 'synced first' });
  await ask('GET', `/v1/operations/${id}?wait=20s`);
}

interface Answered {
  readonly request: string;
  /** Everything the daemon asked of the kernel between reading the request and writing the answer. */
  readonly calls: string;
}

/** Runs a daemon under strace for as long as `work` takes, and gives back how each command was answered. */
async function traced({ directory }: Subject, work: (ask: Ask) => Promise<void>): Promise<Answered[]> {
  const trace = join(directory, `trace-${process.hrtime.bigint()}`);
  const watch = ['-f', '-qq', '-s', '120', '-e', 'trace=fsync,fdatasync,read,write,writev', '-o', trace];
  const options = ['--data', join(directory, 'data'), '--listen', '127.0.0.1:0', '--monitor-root', directory];
  const child = spawn('strace', [...watch, process.execPath, built, 'recovering', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [started] = await once(child.stdout.setEncoding('utf8'), 'data');
  const [url = '', pid = ''] = String(started).trim().split(' ');
  onTestFinished(() => void (child.exitCode === null && process.kill(Number(pid), 'SIGKILL')));
  await work(async (method, path, body) => {
    const content = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const request = { method, ...content };
    const answer = await fetch(`${url}${path}`, request);
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
    return (await answer.json()) as { id: string; snapshotId: string };
  });
  const gone = once(child, 'exit');
  process.kill(Number(pid), 'SIGTERM'); // Its tracer ends with it.
  await gone;
  return answersIn(readFileSync(trace, 'utf8'));
}

function answersIn(trace: string): Answered[] {
  const answers: Answered[] = [];
  for (const part of trace.split(/(?="(?:POST|PATCH) \/v1\/)/).slice(1)) {
    const calls = part.split('"HTTP/1.1 2')[0] ?? '';
    answers.push({ request: /"(POST|PATCH)/.exec(part)?.[1] ?? '', calls });
  }
  return answers;
}

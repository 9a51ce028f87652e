/* SIGTERM ends ledgerd within 5 s, whatever it waits for, and its successor goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from '../qemu/house.ts';
import { cleanUp, makeDirectory, needsQemu } from '../qemu/rig.ts';

afterAll(cleanUp);

const main = join(import.meta.dirname, '../../dist/apps/ledgerd/main.js');
const STOP_WITHIN_MS = 5_000;
const POLL_MS = 50;

interface Daemon {
  readonly child: ChildProcess;
  ask(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
}

async function ledgerd(data: string, home: House): Promise<Daemon> {
  const roots = ['--monitor-root', home.dir, '--image-root', home.dir];
  const child = spawn(process.execPath, [main, '--data', data, '--listen', '127.0.0.1:0', ...roots], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  while (!output.includes('"address"')) await once(child.stdout, 'data');
  const address = /"address":"([^"]+)"/.exec(output)?.[1] ?? '';
  return {
    child,
    async ask(method, path, body) {
      const headers = { 'content-type': 'application/json' };
      const sent = body && { body: JSON.stringify(body), headers };
      const answer = await fetch(`${address}${path}`, { method, ...sent });
      return (await answer.json()) as Record<string, unknown>;
    },
  };
}

describe.runIf(needsQemu())('ledgerd that waits for a copy which nobody ends', () => {
  test('ends at a SIGTERM, and the next one brings the copy to its end', { timeout: 60_000 }, async () => {
    const home = await house({ letters: 'a' });
    await home.hypervisor.close();
    const data = makeDirectory();
    const first = await ledgerd(data, home);
    const vm = await first.ask('POST', '/v1/vms', { name: 'box', monitor: home.vm.monitorPath });
    const target = join(home.dir, 'copy.qcow2');
    const asked = await first.ask('POST', `/v1/vms/${String(vm['id'])}/snapshots`, {
      diskOnly: true,
      backups: [{ device: 'dev-da', target, sync: 'none' }],
    });
    const operation = `/v1/operations/${String(asked['id'])}`;
    while ((await first.ask('GET', operation))['phase'] !== 'copying') await setTimeout(POLL_MS);
    const exit = once(first.child, 'exit');
    first.child.kill('SIGTERM');
    const patience = new AbortController();
    void setTimeout(STOP_WITHIN_MS, null, { signal: patience.signal }).then(
      () => first.child.kill('SIGKILL'),
      () => undefined, // It has ended in time.
    );
    expect(await exit).toEqual([0, null]);
    patience.abort();
    const second = await ledgerd(data, home);
    expect(await second.ask('GET', operation)).toMatchObject({ done: false });
    while ((await second.ask('GET', operation))['phase'] !== 'copying') await setTimeout(POLL_MS);
    await second.ask('POST', `${operation}/cancel`);
    expect(await second.ask('GET', `${operation}?wait=30s`)).toMatchObject({
      done: true,
      outcome: 'succeeded',
    });
    second.child.kill('SIGTERM');
    await once(second.child, 'exit');
  });
});

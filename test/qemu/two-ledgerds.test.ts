/* Two ledgerds that know nothing of each other, and one machine: only one of them works on it, for as long as it lives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { cleanUp, killedByCleanUp, makeDirectory, needsQemu, snapshotTags } from './rig.ts';

afterAll(cleanUp);

const main = join(import.meta.dirname, '../../dist/apps/ledgerd/main.js');
/** For so long whoever has the machine is watched not to be disturbed. */
const KEPT_AWAY_MS = 4_000;
/** The other one asks every two seconds; the machine is slow here. */
const TAKES_OVER_WITHIN = '15s';

interface Ledgerd {
  readonly child: ChildProcess;
  /** What it calls the machine. */
  readonly vmId: string;
  ask(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
  create(): Promise<string>;
  kill(): Promise<void>;
}

/** With a data directory of its own, in which the machine is registered. */
async function ledgerd(home: House): Promise<Ledgerd> {
  const roots = ['--monitor-root', home.dir, '--image-root', home.dir];
  const args = [main, '--data', makeDirectory(), '--listen', '127.0.0.1:0', ...roots];
  const child = killedByCleanUp(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  const gone = once(child, 'exit');
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  while (!output.includes('"address"')) {
    await Promise.race([once(child.stdout, 'data'), gone.then(() => Promise.reject(new Error(output)))]);
  }
  const address = /"address":"([^"]+)"/.exec(output)?.[1] ?? '';
  const ask: Ledgerd['ask'] = async (method, path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${address}/v1${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers }),
    });
    return (await answer.json()) as Record<string, unknown>;
  };
  const vm = await registered(ask, home);
  const vmId = String(vm['id']);
  return {
    child,
    vmId,
    ask,
    create: async () => String((await ask('POST', `/vms/${vmId}/snapshots`, { diskOnly: true }))['id']),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Tried again while the other one has its session with the machine, which takes one client at a time. */
async function registered(ask: Ledgerd['ask'], home: House): Promise<Record<string, unknown>> {
  for (let attempt = 1; ; attempt += 1) {
    const vm = await ask('POST', '/vms', { name: 'box', monitor: home.vm.monitorPath });
    if (typeof vm['id'] === 'string') return vm;
    if (attempt === 20) throw new Error(JSON.stringify(vm));
    await setTimeout(500);
  }
}

/** How many snapshots are in the machine's disk. */
const tags = (home: House): number => snapshotTags(home.disks[0]?.file ?? '').length;

describe.runIf(needsQemu())('two ledgerds with logs of their own and one machine', () => {
  test(
    'the second does nothing to it while the first lives, and does when that was killed',
    {
      timeout: 120_000,
    },
    async () => {
      const home = await house({ letters: 'a' });
      await home.hypervisor.close();
      const first = await ledgerd(home);
      const second = await ledgerd(home);
      const done = await first.ask('GET', `/operations/${await first.create()}?wait=20s`);
      expect(done).toMatchObject({ done: true, outcome: 'succeeded' });
      expect(tags(home)).toBe(1);

      const operation = await second.create();
      const look = await second.ask('POST', `/vms/${second.vmId}/reconcile`);
      expect(look).toMatchObject({ reason: 'host-unreachable' });
      await setTimeout(KEPT_AWAY_MS);
      expect(await second.ask('GET', `/operations/${operation}`)).toMatchObject({
        done: false,
        phase: 'queued',
      });
      expect(tags(home)).toBe(1);

      first.child.kill('SIGSTOP'); // It lives, and may go on at any moment.
      await setTimeout(KEPT_AWAY_MS);
      expect(await second.ask('GET', `/operations/${operation}`)).toMatchObject({ done: false });
      expect(tags(home)).toBe(1);

      await first.kill();
      const late = await second.ask('GET', `/operations/${operation}?wait=${TAKES_OVER_WITHIN}`);
      expect(late).toMatchObject({ done: true, outcome: 'succeeded' });
      expect(tags(home)).toBe(2);
      await second.kill();
      await home.off();
    },
  );
});

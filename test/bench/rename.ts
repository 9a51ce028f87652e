import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import { openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { openLedgers, streamOf } from '../../apps/ledgerd/ledger.ts';
import { registerVm } from '../../apps/ledgerd/registration.ts';
import type { Row } from './row.ts';

const VMS = 1_000;
const CONNECTIONS = 64;
const SECONDS = 8;
const BASELINE_SECONDS = 4;
const READY_ATTEMPTS_MAX = 200;
const READY_PAUSE_MS = 50;

/** Durable renames over HTTP, spread over 1,000 VMs, beside a bare Nest-Fastify POST that stores nothing. */
export async function renameRows(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-bench-'));
  const paths = await seeded(join(directory, 'ledger.sqlite'));
  const bare = await Served.start('dist/test/bench/bare-nest.js', []);
  const plain = await bare.during(() => bare.load(['/bare'], 'POST', BASELINE_SECONDS));
  const options = ['--data', directory, '--listen', '127.0.0.1:0', '--roles', 'http', '--log-level', 'warn'];
  const ledgerd = await Served.start('dist/test/crash/bombed-ledgerd.js', ['none', '1', '', ...options]);
  const renames = await ledgerd.during(async () => {
    await ledgerd.ready();
    return ledgerd.load(paths, 'PATCH', SECONDS);
  });
  rmSync(directory, { recursive: true });
  return [
    {
      what: `durable rename over HTTP, ${CONNECTIONS} connections`,
      ours: { label: '', value: renames.perSecond, unit: '/s' },
      baseline: { label: 'bare Nest-Fastify POST', value: plain.perSecond, unit: '/s' },
      goal: '≥ 10,000/s and ≥ 0.5×',
      reached: renames.perSecond >= 10_000 && renames.perSecond >= 0.5 * plain.perSecond,
    },
    {
      what: 'its p99',
      ours: { label: '', value: renames.p99, unit: 'ms' },
      baseline: { label: 'bare', value: plain.p99, unit: 'ms' },
      goal: '≤ 25 ms',
      reached: renames.p99 <= 25,
    },
  ];
}

/** A log of 1,000 VMs with a snapshot each, written by the product's own ledger; gives back the snapshots' paths. */
async function seeded(file: string): Promise<string[]> {
  const world = realWorld();
  const store = await openSqliteStore(world, file);
  const ledgers = openLedgers({ world, store });
  const paths = await Promise.all(
    Array.from({ length: VMS }, async (_, n) => {
      const [vmId, snapshotId, operationId] = [world.ids.uuid(), world.ids.uuid(), world.ids.uuid()];
      const asked = { actor: 'bench', correlationId: operationId, request: {} };
      const disk = {
        node: 'a',
        format: 'qcow2',
        file: `/bench/${n}`,
        readOnly: false,
        default: 'internal' as const,
      };
      const machine = { monitor: `/bench/${n}.sock`, guestAgent: null, labels: {}, foreignTags: [] };
      const registration = {
        vmId,
        name: `vm ${n}`,
        host: 'bench',
        ...machine,
        disks: [{ device: 'vda', ...disk }],
      };
      await registerVm(ledgers, registration, asked);
      const stream = streamOf(vmId);
      const limits = { snapshotsMax: 200 };
      await ledgers.vms.handle(stream, { type: 'CreateSnapshot', snapshotId, operationId, limits }, asked);
      const ended = { steps: [], transcriptDigest: '' };
      const taken = {
        vmState: 'running' as const,
        memory: { mode: 'none' as const },
        consistency: 'crash' as const,
      };
      const found = { device: 'vda', file: `/bench/${n}`, tag: `sl-${snapshotId}`, nativeId: '1' };
      const evidence = [{ ...found, date: 0, vmClockNs: 0, vmStateSizeBytes: 0 }];
      const created = { operationId, ...taken, evidence, ...ended };
      await ledgers.vms.handle(stream, { type: 'ReportCreated', created }, asked);
      return `/v1/vms/${vmId}/snapshots/${snapshotId}`;
    }),
  );
  await ledgers.vms.close();
  await ledgers.registry.close();
  await store.close();
  return paths;
}

/** A server in a process of its own, and a load put on it. */
class Served {
  readonly #child: ChildProcess;
  readonly #url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
  }

  static async start(script: string, args: readonly string[]): Promise<Served> {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout?.setEncoding('utf8');
    const [first] = await once(child.stdout ?? child, 'data');
    return new Served(child, String(first).trim().split(' ', 1)[0] ?? '');
  }

  /** Ends the server when the work is done, or has failed. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await gone;
    }
  }

  /** Resolves when the views have been built. */
  async ready(): Promise<void> {
    for (let attempt = 0; attempt < READY_ATTEMPTS_MAX; attempt += 1) {
      if ((await fetch(`${this.#url}/health/ready`)).ok) return;
      await sleep(READY_PAUSE_MS);
    }
    throw new Error('the server does not become ready');
  }

  async load(paths: readonly string[], method: 'POST' | 'PATCH', seconds: number) {
    let n = 0;
    const request = {
      method,
      setupRequest: (given: autocannon.Request) => {
        n += 1;
        return {
          ...given,
          path: paths[n % paths.length] ?? '/',
          body: JSON.stringify({ name: `name ${n}` }),
        };
      },
    };
    const result = await autocannon({
      url: this.#url,
      connections: CONNECTIONS,
      duration: seconds,
      headers: { 'content-type': 'application/json' },
      requests: [request],
    });
    if (result.non2xx > 0 || result.errors > 0) {
      const codes = JSON.stringify(result.statusCodeStats);
      throw new Error(`${result.non2xx} refusals, ${result.errors} errors: ${codes}`);
    }
    return { perSecond: result.requests.average, p99: result.latency.p99 };
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { openLedgers, streamOf } from '../../apps/ledgerd/ledger.ts';
import { registerVm } from '../../apps/ledgerd/registration.ts';
import type { Row } from './row.ts';
import { Served } from './served.ts';

const VMS = 1_000;
const CONNECTIONS = 64;
const SECONDS = 8;
const BASELINE_SECONDS = 4;

/** Durable renames over HTTP, spread over 1,000 VMs, beside a bare Nest-Fastify POST that stores nothing. */
export async function renameRows(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-bench-'));
  const paths = await seeded(join(directory, 'ledger.sqlite'));
  const bare = await Served.start('dist/test/bench/bare-nest.js', []);
  const plain = await bare.during(() =>
    bare.load(CONNECTIONS, { paths: ['/bare'], method: 'POST', seconds: BASELINE_SECONDS }),
  );
  const ledgerd = await Served.ledgerd(directory, ['--roles', 'http']);
  const renames = await ledgerd.during(async () => {
    await ledgerd.ready();
    return ledgerd.load(CONNECTIONS, { paths, method: 'PATCH', seconds: SECONDS });
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
      const limits = { snapshotsMax: 200, chainMax: 64 };
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

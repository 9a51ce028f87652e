/* Test-only. A worker with one VM, on a hypervisor that does what the test says, under a clock that the test moves. */
import { openMemoryStore } from '#event-store';
import type { Hypervisor, Journal, Start } from '#hypervisor';
import type { Command, Finding, OpenOperation, Report, Vm } from '#ledger';
import { realWorld, type World } from '#world';
import { openLedgers, streamOf } from '../../apps/ledgerd/ledger.ts';
import { registerVm } from '../../apps/ledgerd/registration.ts';
import { noRival } from './no-rival.ts';
import { startWorker, type Worker } from '../../apps/ledgerd/worker/worker.ts';

export const VM = '00000000-0000-7000-8000-000000000001';
export const asked = (correlationId = 'test') => ({ actor: 'test', correlationId, request: {} });

/** A world whose monotonic clock only goes on when told; whoever sleeps wakes with it. */
export function handWorld(): World & { pass(ms: number): Promise<void> } {
  const real = realWorld();
  let now = 0;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    ...real,
    lock: noRival,
    clock: {
      now: real.clock.now,
      monotonic: () => now,
      sleep: (ms, signal) =>
        new Promise<void>((resolve) => {
          if (signal?.aborted) return resolve();
          const sleeper = { at: now + ms, wake: () => (sleepers.delete(sleeper), resolve()) };
          sleepers.add(sleeper);
          signal?.addEventListener('abort', sleeper.wake, { once: true });
        }),
    },
    async pass(ms) {
      now += ms;
      for (const sleeper of sleepers) if (sleeper.at <= now) sleeper.wake();
      await settled(real);
    },
  };
}

/** Long enough for everything that needs no clock to happen. */
export async function settled({ turn }: World): Promise<void> {
  for (let turns = 0; turns < 30; turns += 1) await turn();
}

type CarryOut = (vm: Readonly<Vm>, operation: OpenOperation, journal: Journal) => Promise<Report>;

/** What a look at the machine finds, and how often somebody looked. */
interface Found {
  readonly findings: Finding[];
  readonly stopped: boolean;
  looks?: number;
  /** When a look ends. */
  readonly wait?: Promise<void>;
  /** When a removal of what was left behind ends, which removes nothing. */
  readonly removal?: Promise<void>;
}

export async function house(
  carryOut: CarryOut,
  world = handWorld(),
  found: Found = { findings: [], stopped: false },
) {
  const store = openMemoryStore(world);
  const ledgers = openLedgers({ world, store });
  const disks = [
    { device: 'vda', node: 'a', format: 'qcow2', file: '/a', readOnly: false, default: 'internal' as const },
  ];
  const registration = {
    vmId: VM,
    name: 'vm',
    host: 'here',
    monitor: '/m',
    guestAgent: null,
    labels: {},
    disks,
    foreignTags: [],
  };
  await registerVm(ledgers, registration, asked());
  const expected: string[] = [];
  const survey = async ({ disks }: Vm): ReturnType<Hypervisor['survey']> => {
    found.looks = (found.looks ?? 0) + 1;
    await found.wait;
    return {
      disks: [...disks],
      foreignTags: [],
      below: [],
      findings: [...found.findings],
      stopped: found.stopped,
    };
  };
  const hypervisor = {
    ...{ carryOut, survey },
    removeLeftovers: async () => {
      await found.removal;
      return [];
    },
    expect: ({ monitor }: Vm) => void expected.push(monitor),
  } as unknown as Hypervisor;
  const troubles: string[] = [];
  const log = { told: () => undefined, trouble: (words: string) => void troubles.push(words) };
  const start = (reconcileEveryMs = 0): Worker =>
    startWorker({ world, store, ledgers, hypervisor, host: 'here', log, reconcileEveryMs });
  const ask = (command: Command) => ledgers.vms.handle(streamOf(VM), command, asked());
  const events = async () =>
    (await store.read(streamOf(VM))).events.map(
      ({ record }) => JSON.parse(record) as { type: string; data: object },
    );
  const types = async (): Promise<string[]> => (await events()).map(({ type }) => type);
  return { world, ledgers, start, ask, events, types, expected, troubles };
}

export const create = (n: number): Command => ({
  type: 'CreateSnapshot',
  snapshotId: `00000000-0000-7000-8000-00000000010${n}`,
  operationId: `00000000-0000-7000-8000-00000000020${n}`,
  limits: { snapshotsMax: 9, chainMax: 64 },
});

/** Of an operation that nothing is known of. */
export const START: Omit<Start, 'operationId' | 'snapshotId'> = {
  worker: 'w',
  wasRunning: true,
  nodes: {},
  files: {},
  plan: [],
  undo: [],
  vmState: 'running',
  memory: 'none',
};

export const failedBecause = (operationId: string, reason: 'refused-by-qemu' | 'vm-held'): Report => ({
  type: 'ReportFailed',
  failed: {
    operationId,
    reason,
    message: '',
    outcome: 'undone',
    leftovers: [],
    steps: [],
    transcriptDigest: '',
  },
});

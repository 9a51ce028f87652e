import { join } from 'node:path';
import { type EventStore, UnknownEvent } from '#event-store';
import { type Hypervisor, openHypervisor, pruneTranscripts } from '#hypervisor';
import { Refusal } from '#ledger';
import type { World } from '#world';
import { Closers } from './closers.ts';
import { type Config, launcherIn, listenAddress } from './config.ts';
import type { WorkerWindow } from './http/house.ts';
import type { Ledgers } from './ledger.ts';
import type { Log } from './log.ts';
import { boundedLooks } from './looks.ts';
import { openMetrics } from './metrics.ts';
import { openLog } from './open-log.ts';
import { claimedBesides, finishHalfDone } from './registration.ts';
import { Tally } from './tally.ts';

/** Together these stay below the 5 s that a SIGTERM has. */
const HTTP_CLOSE_WITHIN_MS = 2_000;
const WORKER_CLOSE_WITHIN_MS = 1_000;

const PRUNE_EVERY_MS = 24 * 60 * 60 * 1_000;

export interface DaemonParts {
  readonly config: Config;
  readonly world: World;
  readonly log: Log;
  /** Looks at machines and works on them; one that speaks to QEMU, unless a test lends another. */
  readonly hypervisor?: Hypervisor;
}

export interface Daemon {
  /** Where HTTP is answered; null without the role http. */
  readonly address: string | null;
  /** Ends within 5 s. What is not finished stays open in the log, and the next daemon finishes it. */
  stop(): Promise<void>;
}

/**
 * Opens the log, then all that lives from it, each role only when it was chosen.
 *
 * @throws {StoreTrouble} when the log cannot be used: locked, damaged, foreign or newer; it is untouched then
 */
export async function startDaemon(parts: DaemonParts): Promise<Daemon> {
  const closers = new Closers(parts.world, parts.log);
  try {
    const address = await open(parts, closers);
    return { address, stop: () => closers.closeAll() };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

async function open(
  { config, world, log, hypervisor: lent }: DaemonParts,
  closers: Closers,
): Promise<string | null> {
  const { roles, host, snapshotsMax, chainMax } = config;
  const reconcileEveryMs = config.reconcileEvery * 1_000;
  const stopping = new AbortController();
  const metrics = openMetrics();
  const { store, ledgers, views } = await openLog({ config, world, log, metrics, closers });
  closers.add('the signals', async () => stopping.abort());
  const tally = await Tally.start({ world, store, ledgers, metrics, log, signal: stopping.signal });
  await finishRegistrations({ world, log, ledgers, host });
  const machines = (): Hypervisor => lent ?? openMachines({ config, world, log, ledgers }, stopping.signal);
  const hypervisor = roles.includes('worker') ? boundedLooks(machines(), world) : null;
  const worker = hypervisor
    ? await openWorker({ world, log, store, ledgers, hypervisor, host, reconcileEveryMs }, closers)
    : NO_WORKER;
  if (!roles.includes('http')) return null;
  const { serveHttp } = await import('./http/serve.ts');
  const { address, stop } = await serveHttp(
    {
      world,
      store,
      ledgers,
      views,
      hypervisor,
      worker,
      host,
      limits: { snapshotsMax, chainMax },
      log,
      metrics,
      heldCount: () => tally.heldCount,
      stopping: stopping.signal,
    },
    listenAddress(config.listen),
  );
  closers.add('http', () => (stopping.abort(), stop()), HTTP_CLOSE_WITHIN_MS);
  return address;
}

/** What a newer program has begun is left for it to finish: `/health/ready` says why nothing is accepted here. */
async function finishRegistrations({
  world,
  log,
  ledgers,
  host,
}: Pick<WorkerParts, 'world' | 'log' | 'ledgers' | 'host'>): Promise<void> {
  const asked = () => ({
    actor: `worker:${host}`,
    correlationId: world.ids.uuid(),
    request: { by: 'start' },
  });
  try {
    await finishHalfDone(ledgers, asked);
  } catch (error) {
    if (!(error instanceof UnknownEvent)) throw error;
    log.error({ err: error }, 'the log holds events of a newer program');
  }
}

const noMachines = (): Refusal =>
  new Refusal('host-unreachable', 'this process looks at no machines: it runs without the role worker');

/** Where there is no worker, nothing is overdue and nobody waits for it. */
const NO_WORKER: WorkerWindow = {
  isReady: () => true,
  expect: () => undefined,
  overdue: () => new Set(),
  reconcile: () => Promise.reject(noMachines()),
  repair: () => Promise.reject(noMachines()),
  progressOf: () => null,
};

function openMachines(
  { config, world, log, ledgers }: DaemonParts & { readonly ledgers: Ledgers },
  signal: AbortSignal,
): Hypervisor {
  const transcriptsDir = join(config.data, 'transcripts');
  void keepPruned({ world, log, transcriptsDir, signal });
  const { monitorRoots, imageRoots, host, onWrongChain } = config;
  const launcher = launcherIn(config);
  return openHypervisor({
    ...{ world, monitorRoots, imageRoots, worker: host, transcriptsDir, onWrongChain },
    claimedBesides: (vmId) => claimedBesides(ledgers, vmId),
    socketsDir: join(config.data, 'sockets'),
    ...(launcher && { launcher }),
  });
}

interface Pruning extends Pick<DaemonParts, 'world' | 'log'> {
  readonly transcriptsDir: string;
  readonly signal: AbortSignal;
}

/** Removes old transcripts now and every day. */
async function keepPruned({ world, log, transcriptsDir, signal }: Pruning): Promise<void> {
  while (!signal.aborted) {
    try {
      await pruneTranscripts(world, transcriptsDir);
    } catch (error) {
      log.warn({ err: error }, 'old transcripts could not be removed');
    }
    await world.clock.sleep(PRUNE_EVERY_MS, signal);
  }
}

interface WorkerParts {
  readonly world: World;
  readonly log: Log;
  readonly store: EventStore;
  readonly ledgers: Ledgers;
  readonly hypervisor: Hypervisor;
  readonly host: string;
  readonly reconcileEveryMs: number;
}

async function openWorker({ log, ...parts }: WorkerParts, closers: Closers): Promise<WorkerWindow> {
  const { startWorker } = await import('./worker/worker.ts');
  const worker = startWorker({
    ...parts,
    log: {
      told: (message, facts) => log.info(facts, message),
      trouble: (message, error, facts = {}) => log.error({ ...facts, err: error }, message),
    },
  });
  let isReady = false;
  void worker.ready.then(() => (isReady = true));
  closers.add('the hypervisor', () => parts.hypervisor.close());
  closers.add('the worker', () => worker.stop(), WORKER_CLOSE_WITHIN_MS);
  return {
    isReady: () => isReady,
    expect: (vmId, command) => worker.expect(vmId, command),
    overdue: () => worker.overdue(),
    reconcile: (vmId, asked) => worker.reconcile(vmId, asked),
    repair: (vmId, wanted) => worker.repair(vmId, wanted),
    progressOf: (vmId) => worker.progressOf(vmId),
  };
}

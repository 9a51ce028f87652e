import { Refusal } from '#ledger';
import {
  type Migration,
  type Monitor,
  MonitorTrouble,
  parseBlocks,
  parseJobs,
  parseMigration,
  parseStatus,
  QmpGarbled,
  type QmpJob,
  QmpRefused,
  QmpUnknown,
  type RunState,
} from '#qmp';
import { LOOK_TIMEOUT_MS } from '../bounds.ts';
import { seenDisks } from './devices.ts';
import { NotNow } from '../not-now.ts';
import { isOwnJob } from '../qemu/own-jobs.ts';
import type { Place } from '../place.ts';
import type { Power, SeenDisk, Sight } from './sight.ts';

/** What a look through the monitor needs. */
type Sighting = Pick<Place, 'world' | 'monitor' | 'line'>;

/** What a QEMU says of its machine. `heard` is called with every answer. Throws as `look` does. */
export async function lookThroughMonitor(
  place: Sighting,
  monitor: Monitor,
  heard: () => void = () => undefined,
): Promise<Sight> {
  const ask = async (question: string): Promise<unknown> => {
    const answer = await monitor.execute(question, {}, { timeoutMs: LOOK_TIMEOUT_MS });
    heard();
    return answer;
  };
  try {
    // QEMU answers in this order: what a job that is over left behind is in the blocks already.
    const [status, jobs, migration, blocks] = await Promise.all([
      ask('query-status').then(parseStatus),
      ask('query-jobs').then(parseJobs),
      ask('query-migrate').then(parseMigration),
      ask('query-block').then(parseBlocks),
    ]);
    return {
      power: powerOf(status),
      runState: status,
      disks: await seenDisks(place.world.files, blocks, []),
      busyWith: busyWith(jobs, migration),
      ownJobs: jobs
        .filter(({ id }) => isOwnJob(id))
        .map(({ id, status, error }) => ({ id, hasConcluded: status === 'concluded', error })),
    };
  } catch (error) {
    throw await whyNoSight(place, error);
  }
}

/** How QEMU's machine stands now, in its own word. Throws as `Monitor.execute` does. */
export async function runStateThroughMonitor(monitor: Monitor): Promise<RunState> {
  return parseStatus(await monitor.execute('query-status', {}, { timeoutMs: LOOK_TIMEOUT_MS }));
}

/** How QEMU's machine stands now. Throws as `Monitor.execute` does. */
export const powerThroughMonitor = async (monitor: Monitor): Promise<Power> =>
  powerOf(await runStateThroughMonitor(monitor));

/** QEMU's disks as they are now; `known` from a look shortly before. Throws as `Monitor.execute` does. */
export async function disksThroughMonitor(
  { world, line }: Place,
  known: readonly SeenDisk[],
  timeoutMs: number,
): Promise<SeenDisk[]> {
  const blocks = parseBlocks(await line.held.execute('query-block', {}, { timeoutMs }));
  return seenDisks(world.files, blocks, known);
}

async function whyNoSight({ monitor, line }: Sighting, error: unknown): Promise<unknown> {
  if (error instanceof QmpUnknown || error instanceof MonitorTrouble) {
    await line.hangUp(); // The next look begins on a session of its own.
    return new NotNow('host-unreachable', `QEMU does not answer: ${error.message}`, undefined, {
      cause: error,
    });
  }
  if (error instanceof QmpRefused || error instanceof QmpGarbled) {
    return new Refusal('not-a-monitor', `${monitor} is not a QEMU machine's monitor: ${error.message}`);
  }
  return error;
}

const powerOf = (status: RunState): Power => (status === 'running' ? 'running' : 'paused');

const OVER: ReadonlySet<string> = new Set<QmpJob['status']>(['concluded', 'null']);
const MIGRATES: ReadonlySet<string> = new Set<Migration['status']>([
  'setup',
  'cancelling',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
]);

/** QEMU lists block jobs with the others. */
function busyWith(jobs: readonly QmpJob[], { status }: Migration): string | null {
  const foreign = jobs.find((job) => !isOwnJob(job.id) && !OVER.has(job.status));
  if (foreign) return `the job "${foreign.id}" (${foreign.type}) is ${foreign.status}`;
  return isMigrating({ status }) ? `a migration is ${status}` : null;
}

/** Whether a migration has begun and not ended. */
export const isMigrating = ({ status }: Pick<Migration, 'status'>): boolean => MIGRATES.has(status);

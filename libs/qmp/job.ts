import type { Clock } from '#world';
import { parseJobs, type QmpJob } from './commands.ts';
import type { JobArguments, JobOptions, Monitor, QmpListener } from './monitor.ts';
import { classifyRefusal } from './refusal.ts';
import { MonitorTrouble, QmpRefused, QmpUnknown } from './trouble.ts';

/** For a job whose caller knows nothing of its size. */
export const JOB_TIMEOUT_MS = 60_000;
/** How long an event that never comes can hold us up. */
export const JOB_POLL_MS = 200;

/** A job as QEMU tells of it now; null when it tells of none with that id. Throws as `Monitor.execute` does. */
export async function jobOf(monitor: Pick<Monitor, 'execute'>, jobId: string): Promise<QmpJob | null> {
  const jobs = parseJobs(await monitor.execute('query-jobs'));
  return jobs.find((job) => job.id === jobId) ?? null;
}

/** Makes QEMU forget a concluded job. One that it has forgotten already is as good. Throws as `execute` does. */
export async function dismissJob(monitor: Pick<Monitor, 'execute'>, jobId: string): Promise<void> {
  try {
    await monitor.execute('job-dismiss', { id: jobId });
  } catch (error) {
    if (error instanceof QmpRefused && classifyRefusal(error.description, error.errorClass) === 'not-found')
      return;
    throw error;
  }
}

interface Desk {
  readonly monitor: Monitor;
  readonly clock: Clock;
}

/** See `Monitor.runJob`. That QEMU answers the command tells nothing yet: a snapshot job that fails is answered too. */
export async function runJob(
  desk: Desk,
  command: string,
  args: JobArguments,
  { timeoutMs = JOB_TIMEOUT_MS, onProgress }: JobOptions = {},
): Promise<void> {
  const { monitor, clock } = desk;
  const jobId = args['job-id'];
  const deadline = clock.monotonic() + timeoutMs;
  const changes = monitor.listen(['JOB_STATUS_CHANGE']);
  try {
    await monitor.execute(command, args, { timeoutMs });
    for (;;) {
      await conclusion(changes, jobId, clock);
      const job = await lookAt(monitor, jobId, command);
      onProgress?.(job.percent);
      if (job.status === 'concluded') return finish(monitor, job, command);
      if (clock.monotonic() >= deadline) throw new QmpUnknown(command, 'timeout', `its job is ${job.status}`);
    }
  } finally {
    changes.close();
  }
}

/** Waits until the job says that it is over, or for as long as we trust events to come. */
async function conclusion(changes: QmpListener, jobId: string, clock: Clock): Promise<void> {
  const until = clock.monotonic() + JOB_POLL_MS;
  for (let leftMs = JOB_POLL_MS; leftMs > 0; leftMs = until - clock.monotonic()) {
    const event = await changes.next(leftMs);
    if (!event) return;
    const { id, status } = event.data;
    if (id === jobId && (status === 'concluded' || status === 'null')) return;
  }
}

/** The command went out already: a look that fails says nothing about it, least of all that it was refused. */
async function lookAt(monitor: Monitor, jobId: string, command: string): Promise<QmpJob> {
  try {
    const job = await jobOf(monitor, jobId);
    if (job) return job;
  } catch (error) {
    if (error instanceof QmpUnknown) throw new QmpUnknown(command, error.cause, error.message);
    if (error instanceof MonitorTrouble) throw new QmpUnknown(command, 'closed', error.message);
    if (error instanceof QmpRefused) throw new QmpUnknown(command, 'vanished', error.message);
    throw error;
  }
  throw new QmpUnknown(command, 'vanished', `job ${jobId} is gone`);
}

/** The outcome is known, so nobody waits for the dismissal: QEMU does it before whatever it is sent next. */
function finish(monitor: Monitor, job: QmpJob, command: string): void {
  void dismissIfHeard(monitor, job.id);
  if (job.error !== null) throw new QmpRefused(command, 'GenericError', job.error);
}

/** A job that is not dismissed stays listed, and whoever looks next can do it. */
async function dismissIfHeard(monitor: Monitor, jobId: string): Promise<void> {
  try {
    await dismissJob(monitor, jobId);
  } catch (error) {
    if (!(error instanceof QmpRefused || error instanceof QmpUnknown || error instanceof MonitorTrouble))
      throw error;
  }
}

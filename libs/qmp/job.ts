import type { Clock } from '#world';
import { type JobStatus, parseJobs, type QmpJob } from './commands.ts';
import { JobChanges } from './job-changes.ts';
import type { ExecuteOptions, JobArguments, JobOptions, Monitor } from './monitor.ts';
import { classifyRefusal } from './refusal.ts';
import { MonitorTrouble, QmpRefused, QmpUnknown } from './trouble.ts';

/** For a job whose caller knows nothing of its size. */
export const JOB_TIMEOUT_MS = 60_000;

/** A job as QEMU tells of it now; null when it tells of none with that id. Throws as `Monitor.execute` does. */
export async function jobOf(
  monitor: Pick<Monitor, 'execute'>,
  jobId: string,
  options?: ExecuteOptions,
): Promise<QmpJob | null> {
  const jobs = parseJobs(await monitor.execute('query-jobs', {}, options));
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
export function runJob(
  desk: Desk,
  command: string,
  args: JobArguments,
  options: JobOptions = {},
): Promise<void> {
  const { timeoutMs = JOB_TIMEOUT_MS } = options;
  const job = { id: args['job-id'], command };
  return follow(desk, job, options, () => desk.monitor.execute(command, args, { timeoutMs }));
}

/** See `Monitor.awaitJob`. */
export const awaitJob = (desk: Desk, jobId: string, options: JobOptions = {}): Promise<void> =>
  follow(desk, { id: jobId, command: jobId }, options, async () => undefined);

/** Listens before it begins: QEMU tells of a change once. */
async function follow(
  { monitor, clock }: Desk,
  { id, command }: { id: string; command: string },
  { timeoutMs = JOB_TIMEOUT_MS, onProgress, whenReady, whenDone, behind }: JobOptions,
  begin: () => Promise<unknown>,
): Promise<void> {
  const deadline = clock.monotonic() + timeoutMs;
  const changes = new JobChanges(id, clock, (names) => monitor.listen(names));
  try {
    const ask = async (options?: ExecuteOptions): Promise<QmpJob> => {
      const [job] = await Promise.all([lookAt(monitor, { id, command, changes }, options), behind?.()]);
      return job;
    };
    let [, job] = await Promise.all([begin(), behind ? ask({ timeoutMs }) : null]);
    for (;;) {
      if (!job) await changes.until(whenReady ? [...OVER, ...ENDINGS.keys()] : OVER);
      job ??= await ask();
      onProgress?.(job.percent);
      if (OVER.includes(job.status)) return await finish(monitor, job, { command, whenDone });
      const ending = whenReady && ENDINGS.get(job.status);
      if (ending) {
        await whenReady();
        await end(monitor, { id, command, ending });
      }
      if (clock.monotonic() >= deadline) throw new QmpUnknown(command, 'timeout', `its job is ${job.status}`);
      job = null;
    }
  } finally {
    changes.close();
  }
}

const OVER: readonly JobStatus[] = ['concluded', 'null'];

/** What makes a job end that waits for it, by how it stands. */
const ENDINGS: ReadonlyMap<JobStatus, string> = new Map([
  ['ready', 'job-complete'],
  ['pending', 'job-finalize'],
]);

/** Told twice, QEMU refuses the second time: the job is ending already. */
async function end(
  monitor: Monitor,
  { id, command, ending }: { id: string; command: string; ending: string },
): Promise<void> {
  try {
    await monitor.execute(ending, { id });
  } catch (error) {
    if (error instanceof QmpUnknown) throw new QmpUnknown(command, error.cause, error.message);
    if (error instanceof MonitorTrouble) throw new QmpUnknown(command, 'closed', error.message);
    if (!(error instanceof QmpRefused)) throw error;
  }
}

/**
 * The command went out already: a look that fails says nothing about it, least of all that it was refused. A job that
 * has dismissed itself is shown as it was told to have ended.
 */
async function lookAt(
  monitor: Monitor,
  { id, command, changes }: { id: string; command: string; changes: JobChanges },
  options?: ExecuteOptions,
): Promise<QmpJob> {
  try {
    const job = await jobOf(monitor, id, options);
    if (job) return job;
    const end = changes.ended();
    if (end) return { id, type: command, status: 'null', error: end.error, percent: 100 };
  } catch (error) {
    if (error instanceof QmpUnknown) throw new QmpUnknown(command, error.cause, error.message);
    if (error instanceof MonitorTrouble) throw new QmpUnknown(command, 'closed', error.message);
    if (error instanceof QmpRefused) throw new QmpUnknown(command, 'vanished', error.message);
    throw error;
  }
  throw new QmpUnknown(command, 'vanished', `job ${id} is gone`);
}

/** The outcome is known, so nobody waits for the dismissal: QEMU does it before whatever it is sent next. */
async function finish(
  monitor: Monitor,
  job: QmpJob,
  { command, whenDone }: { command: string; whenDone: JobOptions['whenDone'] },
): Promise<void> {
  if (job.error === null) await whenDone?.();
  if (job.status === 'concluded') void dismissIfHeard(monitor, job.id);
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

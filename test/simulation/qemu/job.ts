import type { Job, Machine } from './machine.ts';
import { QmpError } from './qmp-error.ts';

const JOB_ID = /^[A-Za-z][\w.-]*$/;

export interface JobWish {
  readonly id: string;
  readonly type: string;
  readonly total?: number;
  readonly dismissesItself?: boolean;
}

/** Throws what QEMU refuses. */
export function newJob(machine: Machine, { id, type, total = 1, dismissesItself = false }: JobWish): Job {
  if (!JOB_ID.test(id)) throw new QmpError(`Invalid job ID '${id}'`);
  if (machine.jobs.some((job) => job.id === id)) throw new QmpError(`Job ID '${id}' already in use`);
  const job: Job = { id, type, status: 'running', error: null, done: 0, total, dismissesItself };
  machine.jobs.unshift(job);
  tell(machine, job, ['created', 'running']);
  return job;
}

export function tell(machine: Machine, { id }: Job, statuses: readonly string[]): void {
  for (const status of statuses) machine.emit('JOB_STATUS_CHANGE', { status, id });
}

/** It has copied all, and stands there until it is told. */
export function wait(machine: Machine, job: Job, status: 'pending' | 'ready'): void {
  job.status = status;
  tell(machine, job, status === 'pending' ? ['waiting', 'pending'] : ['ready']);
  if (status === 'ready') machine.emit('BLOCK_JOB_READY', { device: job.id, type: job.type });
}

/** It is over, well or with an error. */
export function conclude(machine: Machine, job: Job): void {
  const wasPending = job.status === 'pending';
  job.status = 'concluded';
  if (job.error === null) job.done = job.total;
  const before = job.error === null ? (wasPending ? [] : ['waiting', 'pending']) : ['aborting'];
  tell(machine, job, before);
  if (BLOCK_JOBS.has(job.type)) tellEnd(machine, job);
  tell(machine, job, ['concluded']);
  if (job.dismissesItself) forget(machine, job);
}

const BLOCK_JOBS: ReadonlySet<string> = new Set(['stream', 'commit', 'backup']);

function tellEnd(machine: Machine, { id, type, error, done, total }: Job): void {
  const about = { device: id, type, len: total, offset: done, speed: 0 };
  if (error === 'Operation canceled') machine.emit('BLOCK_JOB_CANCELLED', about);
  else machine.emit('BLOCK_JOB_COMPLETED', { ...about, ...(error !== null && { error }) });
}

function forget(machine: Machine, job: Job): void {
  machine.jobs = machine.jobs.filter((other) => other !== job);
  tell(machine, job, ['null']);
}

function jobAt(machine: Machine, id: string): Job {
  const job = machine.jobs.find((job) => job.id === id);
  if (job) return job;
  throw new QmpError('Job not found');
}

const unable = ({ id, status }: Job, verb: string): QmpError =>
  new QmpError(`Job '${id}' in state '${status}' cannot accept command verb '${verb}'`);

/** `job-dismiss`. */
export function dismiss(machine: Machine, id: string): void {
  const job = jobAt(machine, id);
  if (job.status !== 'concluded') throw unable(job, 'dismiss');
  forget(machine, job);
}

/** `job-finalize`. */
export function finalize(machine: Machine, id: string): void {
  const job = jobAt(machine, id);
  if (job.status !== 'pending' || !job.end) throw unable(job, 'finalize');
  job.end();
}

/** `job-complete`. */
export function complete(machine: Machine, id: string): void {
  const job = jobAt(machine, id);
  const { end } = job;
  if (job.status !== 'ready' || !end) throw unable(job, 'complete');
  delete job.end; // Told twice, it refuses the second time.
  end();
}

/** `job-cancel`. */
export function cancel(machine: Machine, id: string): void {
  const job = jobAt(machine, id);
  if (job.status === 'concluded' || !job.cancel) throw unable(job, 'cancel');
  job.cancel();
}

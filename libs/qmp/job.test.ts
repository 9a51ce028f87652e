import { realWorld } from '#world';
import { expect, test } from 'vitest';
import { type FakeHandler, fakeMonitor, fakeRefusal, fakeSilence } from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { outcomeOf } from './fake/outcome.ts';
import { JOB_POLL_MS } from './job-changes.ts';
import { dismissJob, jobOf } from './job.ts';
import { openMonitor } from './open.ts';
import { LISTENERS_MAX } from './session.ts';

const { turn } = realWorld();
const SAVE = { 'job-id': 'j-1', tag: 't', vmstate: 'da', devices: ['da'] };
const CHANGE = 'JOB_STATUS_CHANGE';

interface WireJob {
  readonly id: string;
  readonly status: string;
  readonly error?: string;
  readonly done?: number;
}

const wire = ({ id, status, error, done = 0 }: WireJob) => ({
  id,
  type: 'snapshot-save',
  status,
  'current-progress': done,
  'total-progress': 200,
  ...(error !== undefined && { error }),
});

/** QEMU with one list of jobs that the test moves on, telling of each move or not. */
async function open(on: Readonly<Record<string, FakeHandler>> = {}) {
  const clock = handClock();
  let jobs: WireJob[] = [];
  const fake = fakeMonitor({
    on: {
      'snapshot-save': () => {
        jobs = [{ id: 'j-1', status: 'running' }];
      },
      'query-jobs': () => jobs.map(wire),
      'job-dismiss': ({ id }) => {
        if (!jobs.some((job) => job.id === id)) return fakeRefusal('Job not found');
        jobs = jobs.filter((job) => job.id !== id);
        return {};
      },
      ...on,
    },
  });
  const monitor = await openMonitor({ clock, connect: fake.connect }, '/qmp');
  return {
    clock,
    fake,
    monitor,
    set: (...next: WireJob[]): void => void (jobs = next),
    sent: (): string[] => fake.received.slice(1).map(({ command }) => command),
    conclude: (error?: string): void => {
      jobs = [{ id: 'j-1', status: 'concluded', ...(error !== undefined && { error }) }];
      fake.emit(CHANGE, { id: 'j-1', status: 'concluded' });
    },
  };
}

test('a job is done when it has concluded without an error, and then it is dismissed', async () => {
  const { monitor, conclude, sent, clock } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  expect(sent()).toEqual(['snapshot-save']);
  conclude();
  expect(await saving).toBe('done undefined');
  expect(sent()).toEqual(['snapshot-save', 'query-jobs', 'job-dismiss']);
  await turn();
  expect(clock.sleeperCount).toBe(0);
});

test("a job that failed is refused in the job's own words, although QEMU had answered the command", async () => {
  const { monitor, conclude, sent } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  conclude('Device is full');
  expect(await saving).toBe('refused: Device is full');
  expect(sent()).toEqual(['snapshot-save', 'query-jobs', 'job-dismiss']);
});

test('a job that concludes before its command is answered is not missed', async () => {
  const { monitor, set, sent } = await open({
    'snapshot-save': (_, call) => {
      set({ id: 'j-1', status: 'concluded' });
      call.emit(CHANGE, { id: 'j-1', status: 'concluded' });
    },
  });
  await monitor.runJob('snapshot-save', SAVE);
  await turn(); // Nobody waits for the last one.
  expect(sent()).toEqual(['snapshot-save', 'query-jobs', 'job-dismiss']);
});

test('a job whose events are lost is found by looking', async () => {
  const { monitor, set, clock } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  set({ id: 'j-1', status: 'concluded' });
  await turn();
  clock.advance(JOB_POLL_MS);
  expect(await saving).toBe('done undefined');
});

test('the changes of other jobs, and the early ones of ours, do not end the waiting', async () => {
  const { monitor, fake, conclude, sent } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  fake.emit(CHANGE, { id: 'j-2', status: 'concluded' });
  fake.emit(CHANGE, { id: 'j-1', status: 'pending' });
  await turn();
  expect(sent()).toEqual(['snapshot-save']);
  conclude();
  expect(await saving).toBe('done undefined');
});

test('progress is told in percent at every look', async () => {
  const { monitor, set, clock } = await open();
  const percents: number[] = [];
  const saving = monitor.runJob('snapshot-save', SAVE, { onProgress: (percent) => percents.push(percent) });
  for (const done of [10, 101]) {
    await turn();
    set({ id: 'j-1', status: 'running', done });
    clock.advance(JOB_POLL_MS);
  }
  await turn();
  set({ id: 'j-1', status: 'concluded', done: 200 });
  clock.advance(JOB_POLL_MS);
  await saving;
  expect(percents).toEqual([5, 50, 100]);
});

test('jobs one after the other leave no listener behind', async () => {
  const { monitor, set } = await open({
    'snapshot-save': (_, call) => {
      set({ id: 'j-1', status: 'concluded' });
      call.emit(CHANGE, { id: 'j-1', status: 'concluded' });
    },
  });
  for (let n = 0; n <= LISTENERS_MAX; n++) await monitor.runJob('snapshot-save', SAVE);
});

test('a command that QEMU refuses makes no job', async () => {
  const { monitor, sent } = await open({ 'snapshot-save': () => fakeRefusal("Invalid job ID '1'") });
  expect(await outcomeOf(monitor.runJob('snapshot-save', SAVE))).toBe("refused: Invalid job ID '1'");
  expect(sent()).toEqual(['snapshot-save']);
});

test('a command whose answer does not come leaves the job unknown', async () => {
  const { monitor, clock } = await open({ 'snapshot-save': () => fakeSilence });
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE, { timeoutMs: 5_000 }));
  await turn();
  clock.advance(5_000);
  expect(await saving).toBe('unknown: timeout');
});

test('a job that runs longer than it may is unknown, and stays listed', async () => {
  const { monitor, clock, sent } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE, { timeoutMs: JOB_POLL_MS }));
  await turn();
  clock.advance(JOB_POLL_MS);
  expect(await saving).toBe('unknown: timeout');
  expect(sent()).not.toContain('job-dismiss');
});

test('a job that vanished before anyone saw it conclude is unknown', async () => {
  const { monitor, fake, set } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  set();
  fake.emit(CHANGE, { id: 'j-1', status: 'null' });
  expect(await saving).toBe('unknown: vanished');
});

test.each([
  ['the session ends', 'unknown: closed', (): unknown => new Promise(() => {})],
  ['QEMU will not tell', 'unknown: vanished', (): unknown => fakeRefusal('not now')],
  ['QEMU does not answer', 'unknown: timeout', (): unknown => fakeSilence],
])('a job of which %s is unknown, never refused', async (_, outcome, queryJobs) => {
  const { monitor, fake, clock, conclude } = await open({ 'query-jobs': queryJobs });
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  conclude();
  await turn();
  if (outcome === 'unknown: closed') fake.kill();
  else clock.advance(60_000);
  expect(await saving).toBe(outcome);
});

test('a job whose session ends while we wait for it is unknown: its command was sent', async () => {
  const { monitor, fake } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  fake.kill();
  expect(await saving).toBe('unknown: closed');
});

test.each([
  ['refuses', (): unknown => fakeRefusal('no')],
  ['does not answer', (): unknown => fakeSilence],
])('QEMU that %s to forget the job does not hide how it ended, and is not waited for', async (_, dismiss) => {
  const { monitor, conclude, sent } = await open({ 'job-dismiss': dismiss });
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE));
  await turn();
  conclude('Device is full');
  await turn();
  expect(sent()).toContain('job-dismiss');
  expect(await saving).toBe('refused: Device is full');
});

test('a reply about jobs that cannot be read is neither done nor refused', async () => {
  const { monitor, conclude } = await open({ 'query-jobs': () => ({}) });
  const saving = monitor.runJob('snapshot-save', SAVE);
  await turn();
  conclude();
  await expect(saving).rejects.toMatchObject({ name: 'QmpGarbled', message: 'query-jobs: expected a list' });
});

test('a job is looked up by its id', async () => {
  const { monitor, set } = await open();
  set({ id: 'j-0', status: 'running' }, { id: 'j-1', status: 'concluded', error: 'no', done: 199 });
  const type = 'snapshot-save';
  expect(await jobOf(monitor, 'j-1')).toEqual({
    id: 'j-1',
    type,
    status: 'concluded',
    error: 'no',
    percent: 99,
  });
  expect(await jobOf(monitor, 'j-2')).toBeNull();
});

test('dismissing a job that is gone is as good as dismissing it', async () => {
  const { monitor, set } = await open();
  set({ id: 'j-1', status: 'concluded' });
  await dismissJob(monitor, 'j-1');
  await dismissJob(monitor, 'j-1');
  expect(await jobOf(monitor, 'j-1')).toBeNull();
});

test('a job that cannot be dismissed yet says so', async () => {
  const words = "Job 'j-1' in state 'running' cannot accept command verb 'dismiss'";
  const { monitor } = await open({ 'job-dismiss': () => fakeRefusal(words) });
  expect(await outcomeOf(dismissJob(monitor, 'j-1'))).toBe(`refused: ${words}`);
});

test.each([
  ['ready', 'job-complete'],
  ['pending', 'job-finalize'],
])('a job that is %s is told to end once its caller is ready', async (status, told) => {
  const { monitor, fake, set, sent, conclude } = await open({ [told]: () => ({}) });
  let askedWith: string[] = [];
  const whenReady = async (): Promise<void> => void (askedWith = sent());
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE, { whenReady }));
  await turn();
  set({ id: 'j-1', status });
  fake.emit(CHANGE, { id: 'j-1', status });
  for (let turns = 0; turns < 10; turns += 1) await turn();
  expect(sent()).toContain(told);
  expect(askedWith).not.toContain(told);
  conclude();
  expect(await saving).toBe('done undefined');
});

test('a job that waits for somebody is waited for while nobody tells it to end', async () => {
  const { clock, monitor, set, sent } = await open();
  const saving = outcomeOf(monitor.runJob('snapshot-save', SAVE, { timeoutMs: JOB_POLL_MS }));
  await turn();
  set({ id: 'j-1', status: 'ready' });
  clock.advance(JOB_POLL_MS);
  expect(await saving).toBe('unknown: timeout');
  expect(sent()).not.toContain('job-complete');
});

test('a job that somebody else has started is waited for, and its error read', async () => {
  const { clock, monitor, set, sent } = await open();
  set({ id: 'j-9', status: 'running' });
  const waiting = outcomeOf(monitor.awaitJob('j-9'));
  await turn();
  set({ id: 'j-9', status: 'concluded', error: 'no room' });
  clock.advance(JOB_POLL_MS);
  expect(await waiting).toBe('refused: no room');
  expect(sent()).toEqual(['query-jobs', 'job-dismiss']);
});

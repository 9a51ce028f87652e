/* Of a job that QEMU does before it answers anything else it is asked right behind the command how it went. */
import { realWorld } from '#world';
import { expect, test } from 'vitest';
import { type FakeHandler, fakeMonitor, fakeRefusal } from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { outcomeOf } from './fake/outcome.ts';
import { openMonitor } from './open.ts';

const SAVE = { 'job-id': 'j-1', tag: 't', vmstate: 'da', devices: ['da'] };

const job = (status: string) => ({
  ...{ id: 'j-1', type: 'snapshot-save', status },
  ...{ 'current-progress': 1, 'total-progress': 1 },
});

/** Saves, and looks at the disks behind it. */
async function saving(on: Readonly<Record<string, FakeHandler>>) {
  const done = {
    'snapshot-save': () => ({}),
    'query-jobs': () => [job('concluded')],
    'query-block': () => [],
  };
  const fake = fakeMonitor({ on: { ...done, 'job-dismiss': () => ({}), ...on } });
  const monitor = await openMonitor({ clock: handClock(), connect: fake.connect }, '/qmp');
  const behind = async (): Promise<void> => void (await monitor.execute('query-block'));
  const outcome = outcomeOf(monitor.runJob('snapshot-save', SAVE, { behind }));
  return { fake, outcome, sent: (): string[] => fake.received.slice(1).map(({ command }) => command) };
}

test('one that is over by then is not waited for', async () => {
  const { outcome, sent } = await saving({});
  expect(await outcome).toBe('done undefined');
  expect(sent()).toEqual(['snapshot-save', 'query-jobs', 'query-block', 'job-dismiss']);
});

test('of one that is not it is all asked again once it is over', async () => {
  let status = 'running';
  const { fake, outcome, sent } = await saving({ 'query-jobs': () => [job(status)] });
  await realWorld().turn();
  status = 'concluded';
  fake.emit('JOB_STATUS_CHANGE', { id: 'j-1', status });
  expect(await outcome).toBe('done undefined');
  const asked = ['query-jobs', 'query-block'];
  expect(sent()).toEqual(['snapshot-save', ...asked, ...asked, 'job-dismiss']);
});

test('a command that was refused is refused, whatever was asked behind it', async () => {
  const { outcome } = await saving({ 'snapshot-save': () => fakeRefusal('no'), 'query-jobs': () => [] });
  expect(await outcome).toBe('refused: no');
});

test('nobody knows of one that QEMU does not list', async () => {
  const { outcome } = await saving({ 'query-jobs': () => [] });
  expect(await outcome).toMatch(/^unknown/);
});

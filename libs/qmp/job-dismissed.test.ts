/* A block job that is listed no more when it is over: how it ended QEMU has told. */
import { realWorld } from '#world';
import { expect, test } from 'vitest';
import { type FakeMonitor, fakeMonitor } from './fake/fake-monitor.ts';
import { handClock } from './fake/hand-clock.ts';
import { outcomeOf } from './fake/outcome.ts';
import { JOB_POLL_MS } from './job-changes.ts';
import { openMonitor } from './open.ts';

const { turn } = realWorld();
const STREAM = { 'job-id': 'j-1', device: 'da' };
const CHANGE = 'JOB_STATUS_CHANGE';

/** A stream is going on, of which nothing is to be seen, and for which QEMU does this when it is asked about jobs. */
async function streaming(whenAsked: (fake: FakeMonitor) => void = () => undefined) {
  const fake: FakeMonitor = fakeMonitor({
    on: {
      'block-stream': () => ({}),
      'query-jobs': () => {
        whenAsked(fake);
        return [];
      },
    },
  });
  const clock = handClock();
  const monitor = await openMonitor({ clock, connect: fake.connect }, '/qmp');
  const outcome = outcomeOf(monitor.runJob('block-stream', STREAM));
  await turn();
  return { fake, clock, outcome };
}

function end(fake: FakeMonitor, event: string, data: object = {}): void {
  fake.emit(event, { device: 'j-1', type: 'stream', ...data });
  for (const status of ['concluded', 'null']) fake.emit(CHANGE, { id: 'j-1', status });
}

test.each([
  ['is done', 'BLOCK_JOB_COMPLETED', {}, 'done undefined'],
  ['has failed', 'BLOCK_JOB_COMPLETED', { error: 'no room' }, 'refused: no room'],
  ['was cancelled', 'BLOCK_JOB_CANCELLED', {}, 'refused: Operation canceled'],
] as const)('one that %s is not dismissed again', async (_, event, data, outcome) => {
  const streamed = await streaming();
  end(streamed.fake, event, data);
  expect(await streamed.outcome).toBe(outcome);
  expect(streamed.fake.received.slice(1).map(({ command }) => command)).toEqual([
    'block-stream',
    'query-jobs',
  ]);
});

test('one may end while it is being asked about', async () => {
  const { clock, outcome } = await streaming((fake) => end(fake, 'BLOCK_JOB_COMPLETED'));
  clock.advance(JOB_POLL_MS);
  expect(await outcome).toBe('done undefined');
});

test('one that ends is not taken for another', async () => {
  const { fake, outcome } = await streaming();
  fake.emit('BLOCK_JOB_COMPLETED', { device: 'j-2', type: 'stream' });
  fake.emit(CHANGE, { id: 'j-1', status: 'null' });
  expect(await outcome).toBe('unknown: vanished');
});

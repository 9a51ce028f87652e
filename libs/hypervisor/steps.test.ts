import { QmpRefused, QmpUnknown } from '#qmp';
import { expect, test } from 'vitest';
import { ImageRefused, ImageUnknown } from './qemu/images.ts';
import { Steps, STEPS_MAX } from './steps.ts';

const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() };

test.each([
  [new QmpRefused('stop', 'GenericError', 'no'), 'refused'],
  [new ImageRefused('no'), 'refused'],
  [new QmpUnknown('stop', 'closed', 'gone'), 'unknown'],
  [new ImageUnknown('killed'), 'unknown'],
  [new Error('a bug'), 'unknown'],
])('a step that ends in %s is %s, and the trouble goes on', async (trouble, state) => {
  const steps = new Steps(clock);
  await expect(steps.take('try', 'vda', () => Promise.reject(trouble))).rejects.toBe(trouble);
  expect(steps.taken).toMatchObject([{ name: 'try', device: 'vda', state }]);
});

test('of very many steps the first are kept, and the last', async () => {
  const steps = new Steps(clock);
  for (let n = 0; n < STEPS_MAX + 20; n += 1) await steps.take(`step ${n}`, null, () => Promise.resolve());
  expect(steps.taken).toHaveLength(STEPS_MAX + 1);
  expect(steps.taken.at(-1)).toMatchObject({ name: 'the last of 20 more', state: 'done' });
});

import { expect, test } from 'vitest';
import { QmpRefused } from '#qmp';
import { RELEASE_ATTEMPTS_MAX } from '../bounds.ts';
import { removeNode } from './graph.ts';
import type { Place } from '../place.ts';

const inUse = () => new QmpRefused('blockdev-del', 'GenericError', 'Block device copy is in use');

/** A QEMU that refuses to close an image so often. */
function refusing(times: number) {
  let asked = 0;
  const execute = async (): Promise<object> => {
    asked += 1;
    if (asked <= times) throw inUse();
    return {};
  };
  const clock = { sleep: async () => undefined };
  const place = { line: { held: { execute } }, world: { clock } } as unknown as Place;
  return { place, asked: () => asked };
}

test('an image is closed as soon as the job that has just ended lets go of it', async () => {
  const { place, asked } = refusing(2);
  await removeNode(place, 'copy');
  expect(asked()).toBe(3);
});

test('one that stays in use is told after a bounded number of tries', async () => {
  const { place, asked } = refusing(Number.POSITIVE_INFINITY);
  await expect(removeNode(place, 'copy')).rejects.toThrow('is in use');
  expect(asked()).toBe(RELEASE_ATTEMPTS_MAX);
});

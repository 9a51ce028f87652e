import { expect, test } from 'vitest';
import { AT_ONCE_MAX, together } from './together.ts';

test('what was begun is waited for, although something else has gone wrong', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isOver = false;
  const both = together([() => Promise.reject(new Error('no')), () => promise]).finally(
    () => (isOver = true),
  );
  await Promise.resolve();
  expect(isOver).toBe(false);
  resolve('made');
  await expect(both).rejects.toThrow('no');
});

test('a few at once, in the order that was asked for, and none after a trouble', async () => {
  let running = 0;
  let most = 0;
  const begun: number[] = [];
  const work = (n: number) => async (): Promise<number> => {
    begun.push(n);
    most = Math.max(most, (running += 1));
    await Promise.resolve();
    running -= 1;
    if (n === AT_ONCE_MAX) throw new Error('no');
    return n;
  };
  const works = Array.from({ length: 3 * AT_ONCE_MAX }, (_, n) => work(n));
  expect(await together(works.slice(0, AT_ONCE_MAX))).toEqual(begun);
  begun.length = 0;
  await expect(together(works)).rejects.toThrow('no');
  expect(most).toBe(AT_ONCE_MAX);
  expect(begun).toHaveLength(2 * AT_ONCE_MAX);
});

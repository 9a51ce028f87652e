import { expect, test } from 'vitest';
import { linesOf, serverSentEvents } from './lines.ts';

async function all<T>(things: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const thing of things) found.push(thing);
  return found;
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<string> {
  yield* texts;
}

test('lines are whole wherever the pieces were cut', async () => {
  expect(await all(linesOf(pieces('a\r', '\nb', 'c\n\nd')))).toEqual(['a', 'bc', '', 'd']);
});

test('a line without an end is not read for ever', async () => {
  const endless = pieces(...Array.from({ length: 10 }, () => 'x'.repeat(1024 * 1024)));
  await expect(all(linesOf(endless))).rejects.toThrow('no end');
});

test('messages of a stream are complete, comments are silent, a torn one at the end is dropped', async () => {
  const stream = pieces(
    'retry: 1000\n: watching\n\nid: 7\nda',
    'ta: {"a":\ndata: 1}\n\n: still here\n\nid: 8\ndata: x',
  );
  expect(await all(serverSentEvents(stream))).toEqual([{ id: '7', data: '{"a":\n1}' }]);
});

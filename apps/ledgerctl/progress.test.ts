import { expect, test } from 'vitest';
import { readingOf } from './progress.ts';
import type { Session } from './session.ts';

/** What is written to the standard error while a million events are read, a thousand at a time. */
async function readingOn(isTerminal: boolean, isJson = false): Promise<string[]> {
  const written: string[] = [];
  const err = { isTerminal, columns: 80, write: async (text: string) => void written.push(text) };
  const show = readingOf({ isJson, around: { err, env: {} } } as unknown as Session);
  for (let events = 1_000; events <= 1_000_000; events += 1_000) await show(events);
  await show(null);
  return written;
}

test('on a terminal a person sees how many events were read, on one line that is gone in the end', async () => {
  const written = await readingOn(true);
  expect(written.length).toBe(101);
  expect(written.at(-2)).toBe('\r\u001b[Kread 1000000 events');
  expect(written.at(-1)).toBe('\r\u001b[K');
});

test('what is no terminal, and whoever asked for JSON, is spared the count', async () => {
  expect(await readingOn(false)).toEqual([]);
  expect(await readingOn(true, true)).toEqual([]);
});

import { expect, test } from 'vitest';
import type { StoredEvent } from '../envelope.ts';
import { PAGE_EVENTS_MAX } from '../store.ts';
import { Latest } from './latest.ts';

const events = (first: number, count: number): StoredEvent[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ position: String(first + index), stream: 's', version: first + index },
    ...{ previousHash: '', hash: '', record: '' },
  }));

test('who has seen all before the last commit is given the events of that commit, and then nothing', () => {
  const latest = new Latest();
  const committed = events(5, 3);
  latest.keep(committed);
  expect(latest.pageAfter('4')).toBe(committed);
  expect(latest.pageAfter('7')).toEqual([]);
});

test('the first commit follows the beginning of the log', () => {
  const latest = new Latest();
  latest.keep(events(1, 2));
  expect(latest.pageAfter(null)).toHaveLength(2);
});

test('who has seen less, or is in the middle of it, reads the file', () => {
  const latest = new Latest();
  expect(latest.pageAfter(null)).toBeNull();
  latest.keep(events(5, 3));
  expect(['0', '3', '5', '6', null].map((position) => latest.pageAfter(position))).toEqual(
    Array(5).fill(null),
  );
});

test('a commit of more than a page is read from the file', () => {
  const latest = new Latest();
  latest.keep(events(1, PAGE_EVENTS_MAX + 1));
  expect(latest.pageAfter(null)).toBeNull();
});

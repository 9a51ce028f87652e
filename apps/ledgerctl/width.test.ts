import { expect, test } from 'vitest';
import { fitted, padded, widthOf } from './width.ts';

test('a text is as wide as a terminal draws it', () => {
  expect(
    [
      '',
      'abc',
      'Zürich',
      'e\u0301',
      '日本',
      '한글',
      'שלום',
      '🦆',
      '👩‍👩‍👧',
      '👍🏽',
      '🇨🇭',
      '\u001b[31mred\u001b[39m',
    ].map(widthOf),
  ).toEqual([0, 3, 6, 1, 4, 4, 4, 2, 2, 2, 2, 3]);
});

test('a text is filled up and cut by what is seen of it', () => {
  expect(padded('日本', 6)).toBe('日本  ');
  expect(padded('abc', 2)).toBe('abc');
  expect(fitted('日本語', 5)).toBe('日本');
  expect(fitted('👩‍👩‍👧ab', 3)).toBe('👩‍👩‍👧a');
});

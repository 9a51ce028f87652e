import { expect, test } from 'vitest';
import { entryOf, TEXT_BYTES_MAX } from './transcript.ts';

const kept = (line: string): string => entryOf('sent', 0, line).text;

test('a line that names no secret is kept to the letter', () => {
  const line = '{ "b": 18446744073709551615, "a" : "\\u00e9" }';
  expect(entryOf('received', 7, line)).toEqual({ direction: 'received', at: 7, text: line, isCut: false });
});

test.each([
  ['{"password":"hush"}', '{"password":"(removed)"}'],
  ['{"a":[{"key-secret":{"deep":"hush"},"b":1}]}', '{"a":[{"key-secret":"(removed)","b":1}]}'],
  ['{"Password-Secret":"hush"}', '{"Password-Secret":"(removed)"}'],
  ['{"access_token":123}', '{"access_token":"(removed)"}'],
  ['{"file":"json:{\\"password\\":\\"hush\\"}"}', '{"file":"json:{\\"password\\":\\"(removed)\\"}"}'],
  ['{"opts":"file=x,password=hush,ro=on"}', '{"opts":"file=x,password=(removed),ro=on"}'],
  ['{"desc":"token expected"}', '{"desc":"token expected"}'],
])('the secrets of %s are removed', (line, expected) => {
  expect(kept(line)).toBe(expected);
});

test('a line that names a secret and is no JSON is removed whole', () => {
  expect(kept('{"password":"hu')).toBe('(removed)');
  expect(kept('{"file":"json:{\\"password\\":\\"hu"}')).toBe('{"file":"json:(removed)"}');
});

test('a text is cut at 64 KiB of UTF-8, never inside a character', () => {
  const fits = 'é'.repeat(TEXT_BYTES_MAX / 2);
  expect(entryOf('sent', 0, fits)).toMatchObject({ text: fits, isCut: false });
  expect(entryOf('sent', 0, `x${fits}`)).toMatchObject({ text: `x${fits.slice(1)}`, isCut: true });
});

test('secrets are removed before the cut', () => {
  const { text, isCut } = entryOf('sent', 0, JSON.stringify({ secret: 'hush'.repeat(TEXT_BYTES_MAX) }));
  expect([text, isCut]).toEqual(['{"secret":"(removed)"}', false]);
});

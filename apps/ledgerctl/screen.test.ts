import { expect, test } from 'vitest';
import { instant, safe, safeJson } from './screen.ts';

test('nothing in a text is obeyed by a terminal', () => {
  expect(safe('\u001b]0;title\u0007')).toBe(String.raw`\u001b]0;title\u0007`);
  expect(safe('\u009b2J')).toBe(String.raw`\u009b2J`);
  expect(safe('a\r\nb\tc\u0000')).toBe(String.raw`a\r\nb\tc\u0000`);
  expect(safe('\u2066\u202e\u2028\ufeff\ud800')).toBe(String.raw`\u2066\u202e\u2028\ufeff\ud800`);
});

test('what people write stays as they wrote it', () => {
  const text = 'Zürich 日本 👩‍👩‍👧 שלום عربى "quoted" \\n';
  expect(safe(text)).toBe(text);
});

test('JSON made harmless is the same JSON', () => {
  const value = { ['__proto__']: '\u009b2J \u202e \u007f', lines: ['a\nb', '\u001b'] };
  const text = safeJson(JSON.stringify(value, null, 2));
  expect(text).not.toMatch(/[\u007f-\u009f\u202e]/);
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
});

test('an instant is shown without its milliseconds', () => {
  expect(instant('2026-11-21T11:30:00.123Z')).toBe('2026-11-21 11:30:00Z');
});

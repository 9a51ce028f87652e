import { expect, test } from 'vitest';
import { WAIT_MS_MAX, waitedMs } from './waiting.ts';

test('a wait has a unit, and nobody waits for more than a minute', () => {
  expect(waitedMs('500ms')).toBe(500);
  expect(waitedMs('30s')).toBe(30_000);
  expect(waitedMs('1m')).toBe(60_000);
  expect(waitedMs('0s')).toBe(0);
  expect(waitedMs('999999999m')).toBe(WAIT_MS_MAX);
  for (const text of ['30', 's', '-1s', '1.5s', '1h', '30 s', '1s2s', '__proto__']) {
    expect(() => waitedMs(text), text).toThrow('wait must be a time');
  }
});

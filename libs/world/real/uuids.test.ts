import { expect, test } from 'vitest';
import { validate, version } from 'uuid';
import { uuids } from './uuids.ts';

test('ids are UUIDv7s, all different, and only go up, also when the clock jumps back', () => {
  const times = [1_000, 1_000, 2_000, 500, 500, 2_001];
  let at = 0;
  const uuid = uuids(() => times[Math.min((at += 1) - 1, times.length - 1)] ?? 0);
  const made = Array.from({ length: 2_000 }, uuid);
  expect(made.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(new Set(made).size).toBe(made.length);
  expect([...made].sort()).toEqual(made);
});

import { expect, test } from 'vitest';
import { Downtime } from './downtime.ts';

test('a machine that has just ended may be restarting, and after three seconds it is off', () => {
  const downtime = new Downtime();
  downtime.end(40);
  downtime.begin(100_000);
  expect(downtime.isKnown(102_999)).toBe(false);
  expect(downtime.isKnown(103_000)).toBe(true);
});

test('the same of one that was never on', () => {
  const downtime = new Downtime();
  expect(downtime.isKnown(2_999)).toBe(false);
  expect(downtime.isKnown(3_000)).toBe(true);
});

test('whoever looks at it now and then misses a process that was soon gone, but not one that lived', () => {
  const downtime = new Downtime();
  downtime.end(40);
  downtime.begin(100_000);
  downtime.end(102_800);
  downtime.begin(102_900);
  expect(downtime.isKnown(103_100)).toBe(true);
  downtime.end(110_000);
  downtime.begin(200_000);
  expect(downtime.isKnown(200_100)).toBe(false);
});

test('and also the first, if it was gone at once', () => {
  const downtime = new Downtime();
  downtime.end(976);
  downtime.begin(1_151);
  expect(downtime.isKnown(3_343)).toBe(true);
});

test('the first process of a machine that was off for long may be missed as well', () => {
  const downtime = new Downtime();
  downtime.end(4_000);
  downtime.begin(4_100);
  expect(downtime.isKnown(4_200)).toBe(true);
});

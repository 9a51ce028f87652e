import { expect, test } from 'vitest';
import {
  BEFORE_ALL,
  lineOf,
  readMoment,
  recordedAtOf,
  STRIP_MOMENTS,
  stripOf,
  writeMoment,
} from './moments.ts';

test('a moment is read as it was written', () => {
  const counts = {
    pending: 1,
    complete: 2,
    deleting: 3,
    retired: 4,
    lost: 5,
    suspect: 6,
    deleted: 7,
    failed: 8,
  };
  const moment = {
    ...{
      recordedAt: '2026-11-21T12:00:00.001Z',
      current: 12,
      confidence: 'unknown' as const,
      operation: 345,
    },
    counts,
  };
  const line = writeMoment(moment);
  expect(readMoment(line)).toEqual(moment);
  expect(recordedAtOf(line)).toBe(moment.recordedAt);
  expect(readMoment(writeMoment(BEFORE_ALL))).toEqual(BEFORE_ALL);
});

test('every version has a line of its own', () => {
  const places = Array.from({ length: 3 * STRIP_MOMENTS }, (_, at) => `${stripOf(at + 1)}.${lineOf(at + 1)}`);
  expect(new Set(places).size).toBe(3 * STRIP_MOMENTS);
  expect([places[0], places.at(-1)]).toEqual(['0.0', `2.${STRIP_MOMENTS - 1}`]);
});

/* ledgerd and its machines shaken for a while; `npm run soak` does so for long enough to see what grows. */
import { afterAll, describe, expect, test } from 'vitest';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { growthPerMinute, type Sample } from './samples.ts';
import { soak } from './soak.ts';

const FOR_MS = 16_000;

afterAll(cleanUp);

describe.runIf(needsQemu())('ledgerd, with a fault every two seconds,', () => {
  test('loses nothing, and nobody who follows it skips', { timeout: 240_000 }, async () => {
    const seed = Date.now() % 1_000_000;
    const { wrong, lives, events } = await soak({ forMs: FOR_MS, seed });
    expect(wrong, `seed ${seed}`).toEqual([]);
    expect(lives).toBeGreaterThan(1);
    expect(events).toBeGreaterThan(20);
  });
});

const sawtooth = (second: number): number => (second % 7) * 1_000;

describe('growth', () => {
  const MINUTES = 3;
  const samples = (heapBytes: (second: number) => number): Sample[] =>
    Array.from({ length: MINUTES * 60 }, (_, second) => ({
      ...{ life: 1, atMs: second * 1_000, rssBytes: 0, descriptors: 0, walBytes: 0 },
      heapBytes: heapBytes(second),
    }));

  test('is what is left after each collection', () => {
    expect(growthPerMinute(samples(sawtooth), 'heapBytes')).toBe(0);
    expect(
      growthPerMinute(
        samples((second) => sawtooth(second) + second * 5_000),
        'heapBytes',
      ),
    ).toBeCloseTo(300_000, -5);
  });

  test('is not bent by one moment that took a lot', () => {
    expect(
      growthPerMinute(
        samples((second) => (second > 170 ? 900_000 : 0)),
        'heapBytes',
      ),
    ).toBe(0);
  });
});

/* Whatever is captured, loaded and deleted in whatever order: does every snapshot that lives hold what it held? */
import { afterAll, describe, expect, test } from 'vitest';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { walk } from './walk.ts';

afterAll(cleanUp);

const WALKS = 2;
const STEPS = 15;

// `npm run walk` takes many and long ones.
describe.runIf(needsQemu())('a random walk', () => {
  test.concurrent.each(Array.from({ length: WALKS }, () => Math.floor(Math.random() * 2 ** 31)))(
    'from seed %i loses nothing',
    { timeout: 300_000 },
    async (seed) => {
      const ends = await walk(seed, STEPS);
      expect([...ends.values()].reduce((sum, count) => sum + count, 0)).toBe(STEPS);
    },
  );
});

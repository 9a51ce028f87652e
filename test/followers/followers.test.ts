/* Does everybody who reads along see everything once, though ledgerd is killed again and again? `npm run followers` is the long form. */
import { afterAll, describe, expect, test } from 'vitest';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { followersRun } from './run.ts';

afterAll(cleanUp);

describe.runIf(needsQemu())('while many write and ledgerd dies', () => {
  test('nobody skips an event or sees one twice, and the views say what the log says', async () => {
    const end = await followersRun({ writers: 16, machines: 8, kills: 3, lives: [200, 500] });
    expect(end.wrong).toEqual([]);
    expect(end.acknowledged).toBeGreaterThan(50);
    expect(end.readers.every(({ seen }) => seen === end.events)).toBe(true);
  });
});

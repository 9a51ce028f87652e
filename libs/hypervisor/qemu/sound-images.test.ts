import { expect, test } from 'vitest';
import type { FileStat } from '#world';
import { SoundImages } from './sound-images.ts';

const NOW = 1_000_000;
const OLD: FileStat = { kind: 'file', sizeBytes: 7, identity: '1:1', modifiedAt: 1, changedAt: 1 };
const AT = { file: '/i/a', format: 'qcow2' };

/** Checks an image again and again, each time as the file then looks; how often it really was. */
async function checksOf(...looks: readonly (FileStat | null)[]): Promise<number> {
  let found: FileStat | null = null;
  const files = { stat: async () => found } as never;
  const sound = new SoundImages({ files, clock: { now: () => NOW } as never });
  let count = 0;
  for (const look of looks) {
    found = look;
    await sound.check(AT, async () => {
      count += 1;
      return { kind: 'clean' };
    });
  }
  return count;
}

test('an image that was sound and that nobody has touched since is not checked again', async () => {
  expect(await checksOf(OLD, OLD, OLD)).toBe(1);
});

test.each<Partial<FileStat>>([{ sizeBytes: 6 }, { identity: '1:2' }, { modifiedAt: 2 }, { changedAt: 2 }])(
  'an image is checked again when its file is another: %o',
  async (change) => {
    expect(await checksOf(OLD, { ...OLD, ...change })).toBe(2);
  },
);

test('an image that was just written is checked every time: it may change and look the same', async () => {
  const young = { ...OLD, changedAt: NOW - 1_000 };
  expect(await checksOf(young, young)).toBe(2);
});

test('a block device is checked every time: who writes into it by another name leaves no trace', async () => {
  const device = { ...OLD, kind: 'other' } as const;
  expect(await checksOf(device, device)).toBe(2);
});

test('an image that is gone is checked every time', async () => {
  expect(await checksOf(null, null)).toBe(2);
});

test('an image that changes while it is checked is checked again', async () => {
  let stat = OLD;
  const sound = new SoundImages({
    files: { stat: async () => stat } as never,
    clock: { now: () => NOW } as never,
  });
  let count = 0;
  const check = async () => {
    count += 1;
    stat = { ...OLD, modifiedAt: OLD.modifiedAt + count };
    return { kind: 'clean' } as const;
  };
  await sound.check(AT, check);
  await sound.check(AT, check);
  expect(count).toBe(2);
});

test('an image that was not sound is checked every time', async () => {
  const sound = new SoundImages({
    files: { stat: async () => OLD } as never,
    clock: { now: () => NOW } as never,
  });
  const damaged = { kind: 'damaged', words: 'torn' } as const;
  expect(await sound.check(AT, async () => damaged)).toEqual(damaged);
  expect(await sound.check(AT, async () => damaged)).toEqual(damaged);
});

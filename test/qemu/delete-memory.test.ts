/* A delete unlinks what memory was saved into. And when somebody has put something else there? */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type House, house, imageHolds, imageWrite } from './house.ts';
import { cleanUp, makeDisk, needsQemu } from './rig.ts';

afterAll(cleanUp);

const INTO = {
  'state file': { memory: 'external' },
  stream: { memory: 'external', memoryFormat: 'stream' },
} as const;

async function saved(
  into: keyof typeof INTO,
  name: string,
): Promise<{ home: House; id: string; file: string }> {
  const home = await house({ letters: 'a' });
  const file = join(home.dir, name);
  const disks = [{ device: 'dev-da', mode: 'none' as const }];
  const { end, snapshotId } = await home.book.create({ ...INTO[into], memoryFile: file, disks });
  expect(end).toBe('created');
  return { home, id: snapshotId, file };
}

describe.runIf(needsQemu()).each(['state file', 'stream'] as const)(
  'memory in a %s of the caller',
  (into) => {
    test('goes with its snapshot', async () => {
      const { home, id, file } = await saved(into, 'mine.memory');
      expect((await home.book.delete(id)).end).toBe('deleted');
      expect(existsSync(file)).toBe(false);
    });

    test('is gone when another image lies there: that one is left, and the operation says so', async () => {
      const { home, id, file } = await saved(into, 'mine.memory');
      renameSync(file, `${file}.away`);
      makeDisk(file);
      imageWrite(file, 0x44);
      const { end, report } = await home.book.delete(id);
      expect(end).toBe('deleted');
      expect(imageHolds(file, 0x44)).toBe(true);
      expect(existsSync(`${file}.away`)).toBe(true);
      expect(report).toMatchObject({
        deleted: {
          steps: expect.arrayContaining([
            expect.objectContaining({ name: expect.stringContaining(`leave ${file}`), state: 'skipped' }),
          ]),
        },
      });
    });

    test('is gone when something else lies there that is no image', async () => {
      const { home, id, file } = await saved(into, 'mine.memory');
      renameSync(file, `${file}.away`);
      writeFileSync(file, 'a letter');
      expect((await home.book.delete(id)).end).toBe('deleted');
      expect(existsSync(file)).toBe(true);
    });

    test('that is gone already is no reason to fail', async () => {
      const { home, id, file } = await saved(into, 'mine.memory');
      renameSync(file, `${file}.away`);
      expect((await home.book.delete(id)).end).toBe('deleted');
    });
  },
);

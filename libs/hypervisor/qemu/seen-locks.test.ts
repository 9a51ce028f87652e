import { expect, test } from 'vitest';
import { FileTrouble } from '#world';
import { seenLocked } from './seen-locks.ts';

const IMAGE = '/i/top.qcow2';

/** Of an image that is inode 77 of the device fe:00, when the kernel lists these locks. */
async function isLocked(locks: string | null, identity: string | null = '65024:77'): Promise<boolean> {
  const seen = await seenLocked(
    {
      stat: async () => (identity === null ? null : ({ identity } as never)),
      start: async () => (locks === null ? null : Buffer.from(locks)),
    },
    [IMAGE],
  );
  return seen.has(IMAGE);
}

const WRITER = `1: OFDLCK ADVISORY  READ -1 fe:00:77 203 203
2: OFDLCK ADVISORY  READ -1 fe:00:77 201 201
3: OFDLCK ADVISORY  READ -1 fe:00:77 100 101
`;

test('an image is in use when somebody may write it, or wants nobody to', async () => {
  expect(await isLocked(WRITER)).toBe(true);
  expect(await isLocked('1: OFDLCK ADVISORY  READ -1 fe:00:77 201 201')).toBe(true);
  expect(await isLocked('1: OFDLCK ADVISORY  READ -1 fe:00:77 100 101')).toBe(true);
  expect(await isLocked('1: POSIX  ADVISORY  WRITE 4711 fe:00:77 0 EOF')).toBe(true);
});

test('who only reads whatever is there keeps nobody away', async () => {
  expect(await isLocked('1: OFDLCK ADVISORY  READ -1 fe:00:77 100 100')).toBe(false);
});

test('who waits for a lock does not have it', async () => {
  expect(await isLocked('1: -> OFDLCK ADVISORY  READ -1 fe:00:77 201 201')).toBe(false);
});

test('what QEMU does not ask for is no lock of an image', async () => {
  for (const kind of ['FLOCK ', 'LEASE ', 'DELEG '])
    expect(await isLocked(`1: ${kind} ADVISORY  WRITE 4711 fe:00:77 0 EOF`)).toBe(false);
});

test('the lock of another file is none of this one', async () => {
  expect(await isLocked(WRITER.replaceAll(':77', ':78'))).toBe(false);
  expect(await isLocked(WRITER.replaceAll('fe:00', 'fe:01'))).toBe(false);
  expect(await isLocked(WRITER.replaceAll('fe:00', 'fe:100'), '1113600:77')).toBe(true);
});

test('where nothing is listed nothing is known', async () => {
  expect(await isLocked('')).toBe(false);
  expect(await isLocked('gibberish\n7: OFDLCK')).toBe(false);
  expect(await isLocked(null)).toBe(false);
  expect(await isLocked(WRITER, null)).toBe(false);
});

const refuse = async (path: string): Promise<never> => {
  throw new FileTrouble('EACCES', path, 'not for you');
};

test('a list that cannot be read keeps nobody from asking elsewhere', async () => {
  expect(await seenLocked({ stat: refuse, start: refuse }, [IMAGE])).toEqual(new Set());
});

import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { verifyChain } from '../seal.ts';
import { newDirectory, openLog, recordSome } from './story/files.ts';

/** A file system of its own with 2 MiB. Null when this user may not mount one. */
function smallDisk(): string | null {
  const directory = newDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'snapledger-test', directory], { stdio: 'pipe' });
  } catch {
    return null;
  }
  onTestFinished(() => void execFileSync('umount', ['--lazy', directory]));
  return directory;
}

test('a full disk is said to be full, tears no command, and is forgotten when there is space again', async (context) => {
  const disk = smallDisk();
  if (disk === null && process.env['CI'] !== 'true') {
    return context.skip('NOT TESTED: a full disk. Only root may mount the small one that it takes.');
  }
  if (disk === null) return expect.fail('CI must run this test as root: it mounts a small disk');
  const store = await openLog(join(disk, 'ledger.sqlite'));
  await recordSome(store, 's', 10);

  const ballast = join(disk, 'ballast');
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - 64 * 1024));
  const before = await store.read('s');
  const both = await Promise.allSettled([recordSome(store, 's', 1_000), recordSome(store, 't', 1)]);
  for (const result of both) {
    expect(result).toMatchObject({ reason: { name: 'StoreTrouble', kind: 'full', effect: 'none' } });
  }
  expect(await store.read('s')).toEqual(before);
  expect((await store.read('t')).head.version).toBe(0);

  rmSync(ballast);
  await recordSome(store, 's', 10);
  await recordSome(store, 't', 1);
  expect(verifyChain((await store.read('s')).events).version).toBe(20);
  await store.close();

  const again = await openLog(join(disk, 'ledger.sqlite'));
  expect(verifyChain((await again.read('s')).events).version).toBe(20);
  await again.close();
});

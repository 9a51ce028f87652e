import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const script = join(import.meta.dirname, 'append-three.ts');

test('no append is acknowledged before the disk was synced, on a new log and on an old one', (context) => {
  const hasStrace = spawnSync('strace', ['-V']).status === 0;
  if (!hasStrace && process.env['CI'] !== 'true') return context.skip('NOT TESTED: strace is not installed');
  expect(hasStrace, 'CI must have strace').toBe(true);
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-sync-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));

  for (let run = 0; run < 2; run += 1) {
    const calls = systemCalls(join(directory, 'trace'), join(directory, 'ledger.sqlite'));
    for (const stream of ['x', 'y', 'z']) {
      const between = calls.split(`begin ${stream}`)[1]?.split(`acknowledged ${stream}`)[0];
      expect(between, calls).toMatch(/sync\(\d+\)\s+= 0|sync resumed>\)\s+= 0/);
    }
  }
});

/** What a process that appends asks of the kernel. */
function systemCalls(trace: string, file: string): string {
  const watch = ['-f', '-qq', '-e', 'trace=fsync,fdatasync,write', '-o', trace];
  const { status, stderr } = spawnSync('strace', [
    ...watch,
    process.execPath,
    '--conditions=source',
    script,
    file,
  ]);
  expect(status, String(stderr)).toBe(0);
  return readFileSync(trace, 'utf8');
}

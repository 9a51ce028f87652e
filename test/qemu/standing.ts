/* Everything about a machine that a refusal must leave as it is. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Refusal } from '#ledger';
import type { House } from './house.ts';
import { snapshotTags } from './rig.ts';

/** Files that are no disks of a test are small; what is larger is told by its size alone. */
const DIGEST_BYTES_MAX = 64 * 1024 * 1024;

export interface Standing {
  /** Every name in the machine's directory, and what lies there. */
  readonly files: readonly string[];
  readonly tags: readonly string[];
  /** `name file` of each image that QEMU has open. */
  readonly nodes: readonly string[];
  readonly jobs: unknown;
  readonly state: unknown;
  readonly ledger: unknown;
}

/** What was done and undone may have moved about inside a disk's file. */
export type Care = 'to the byte' | 'but for the inside of disks';

/** How a machine stands now: its files, its tags, what QEMU has open, and what the ledger believes of it. */
export async function standing(home: House, care: Care = 'to the byte'): Promise<Standing> {
  const { monitor } = home.isOn ? home.vm : { monitor: null };
  const nodes = (await monitor?.execute('query-named-block-nodes', { flat: true })) ?? [];
  return {
    files: filesIn(home.dir, care === 'to the byte' ? [] : [...home.book.vm.layers.keys()]),
    tags: home.book.vm.disks
      .filter(({ format }) => format === 'qcow2')
      .map(({ device, file }) => `${device} ${snapshotTags(file).join(' ')}`),
    nodes: (nodes as { 'node-name': string; file: string }[])
      .map(({ 'node-name': name, file }) => `${name.startsWith('#') ? '#' : name} ${file}`)
      .toSorted(),
    jobs: home.isOn ? await home.jobsLeft() : undefined,
    state: await monitor?.execute('query-status'),
    ledger: ledgerOf(home),
  };
}

function filesIn(directory: string, known: readonly string[]): string[] {
  return readdirSync(directory)
    .filter((name) => name !== 'transcripts')
    .toSorted()
    .map((name) => `${name}: ${wordFor(join(directory, name), known)}`);
}

function wordFor(path: string, known: readonly string[]): string {
  if (known.includes(path)) return 'a disk';
  const found = lstatSync(path);
  if (found.isSymbolicLink()) return `a link to ${readlinkSync(path)}`;
  if (found.isDirectory()) return `a directory of ${filesIn(path, known).join(', ')}`;
  if (!found.isFile()) return 'neither file nor directory';
  if (found.size > DIGEST_BYTES_MAX) return `${found.size} bytes`;
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** An id that was given once stays given, and the log only grows: both are left out. */
function ledgerOf({ book }: House): unknown {
  const { snapshots, layers, disks, current, operation, hold, foreignTags } = book.vm;
  return structuredClone({
    ...{ snapshots: [...snapshots], layers: [...layers], disks, current, operation, hold, foreignTags },
  });
}

/** Tries something that is refused, by the ledger or by the worker, and finds everything as it was. Returns why. */
export async function refusedOf(
  home: House,
  attempt: () => Promise<{ end: string }>,
  care?: Care,
): Promise<string> {
  const before = await standing(home, care);
  const end = await endOf(attempt);
  expect(await standing(home, care)).toEqual(before);
  return end;
}

/** The reason alone, of a failure that has left nothing; else how it ended. */
async function endOf(attempt: () => Promise<{ end: string }>): Promise<string> {
  try {
    return (await attempt()).end.replace(/^undone: /, '');
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

/* What tests of backups share: how one is asked for, held up and looked at. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import type { World } from '#world';
import { type House, house } from './house.ts';
import { retold } from './retold.ts';
import { guestWrite } from './rig.ts';

export type Sync = 'full' | 'top' | 'none';
export type Mode = 'absolute-paths' | 'existing';

export interface More {
  readonly sync?: Sync;
  readonly format?: string;
  readonly fileMode?: Mode;
}

export const backup = (
  device: string,
  target: string,
  { sync = 'full', format = 'qcow2', fileMode = 'absolute-paths' }: More = {},
) => ({ device, target, sync, format, fileMode });

export const external = (device: string) => ({ device, mode: 'external' as const });

export const holds = (file: string, format: string, pattern: number): boolean => {
  const { stdout, status } = spawnSync(
    'qemu-io',
    ['-r', '-U', '-f', format, '-c', `read -P ${pattern} 0 65536`, file],
    { encoding: 'utf8' },
  );
  return status === 0 && !stdout.includes('Pattern verification failed');
};

/** Whether a copy holds anything itself, beyond what it reads from below. */
export function holdsItself(file: string): boolean {
  const map = execFileSync('qemu-img', ['map', '-U', '--output=json', file], { encoding: 'utf8' });
  return (JSON.parse(map) as { depth: number; data: boolean }[]).some(
    ({ depth, data }) => depth === 0 && data,
  );
}

/** Nothing of ours is left: no file but the disks, no tag, no job, no open image. */
export async function expectNoTrace(home: House, ...files: string[]): Promise<void> {
  expect(home.book.vm.operation).toBeNull();
  for (const file of files) expect(existsSync(file)).toBe(false);
  expect(readdirSync(home.dir).filter((name) => name.startsWith('sl-'))).toEqual([]);
  expect(home.tags()).toEqual(home.tagsOf());
  expect(await home.jobsLeft()).toEqual([]);
  const nodes = JSON.stringify(await home.vm.monitor.execute('query-named-block-nodes', { flat: true }));
  for (const file of files) expect(nodes).not.toContain(file);
}

/** Writes over everything as soon as a transaction has been done. */
export async function writeWhenTaken(home: House, pattern: number): Promise<void> {
  await until(() => (home.tags()[0] ?? '') !== '');
  for (const node of ['da', 'db']) await guestWrite(home.vm, node, pattern);
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await setTimeout(2);
}

export async function jobs(home: House, count: number): Promise<{ id: string; status: string }[]> {
  for (;;) {
    const found = (await home.vm.monitor.execute('query-jobs')) as { id: string; status: string }[];
    if (found.length >= count) return found;
    await setTimeout(2);
  }
}

const LARGE_MB = 256;
const SLOWLY = `"speed":${16 * 1024 * 1024},"sync":`;

/** Two disks that are full and copied slowly: whatever a test does to a copy, it does before the copy is over. */
export async function largeHouse(): Promise<House> {
  const home = await house({ sizeMb: LARGE_MB, world: copyingSlowly });
  const extent = { offset: 0, length: LARGE_MB * 1024 * 1024 };
  for (const node of ['da', 'db']) await guestWrite(home.vm, node, 0x11, extent);
  return home;
}

const copyingSlowly = (world: World): World => retold(world, (said) => said.replaceAll('"sync":', SLOWLY));

/** From now on QEMU can make no file larger than this: writing beyond it fails as on a full disk. */
export function limitFile(home: House, bytes: number): () => void {
  const set = (limit: string): void =>
    void execFileSync('prlimit', ['--pid', String(home.vm.pid), `--fsize=${limit}`]);
  set(`${bytes}:unlimited`);
  return () => set('unlimited:unlimited');
}

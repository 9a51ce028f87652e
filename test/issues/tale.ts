/* What the neighbours' bugs are told with: captures by kind, each with a content of its own. */
import { expect } from 'vitest';
import { v7 } from 'uuid';
import type { House } from '../qemu/house.ts';
import { contents, writeAll } from '../qemu/patterns.ts';

export type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const both = (mode: 'internal' | 'external') => ['dev-da', 'dev-db'].map((device) => ({ device, mode }));

export const INTERNAL: Wish = { disks: both('internal'), diskOnly: true };
export const EXTERNAL: Wish = { disks: both('external'), diskOnly: true };

/** The guest writes this everywhere, and then it is captured. */
export async function taken(home: House, pattern: number, wish: Wish = INTERNAL): Promise<string> {
  await writeAll(home, pattern);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  return snapshotId;
}

/** Goes back to a snapshot, and saves the present first, as everybody does who says nothing. */
export async function loaded(home: House, id: string, wish: Parameters<House['book']['load']>[1] = {}) {
  const pin = { snapshotId: v7(), what: 'disks' as const };
  const { end, report } = await home.book.load(id, { pin, ...wish });
  expect(end, JSON.stringify(report)).toBe('loaded');
  return pin.snapshotId;
}

export async function deleted(
  home: House,
  id: string,
  strategy: Parameters<House['book']['delete']>[1] = 'merge',
): Promise<void> {
  const { end, report } = await home.book.delete(id, strategy);
  expect(end, JSON.stringify(report)).toBe('deleted');
}

/** Off, and on again from the disks that the ledger names. */
export async function powerCycled(home: House): Promise<void> {
  await home.off();
  await home.boot({ disks: home.present() });
}

/** The machine runs, and its guest reads nothing else than this. */
export async function expectRunning(home: House, content: string): Promise<void> {
  expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  expect(await contents(home)).toBe(content);
}

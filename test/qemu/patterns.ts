/* What stands on the disks of a real machine, in one word per disk. */
import { spawnSync } from 'node:child_process';
import type { House } from './house.ts';
import { guestReadPattern, guestWrite } from './rig.ts';

const PATTERNS = [0x11, 0x22, 0x33, 0x44];

/** The guest writes the same on every disk. */
export async function writeAll({ vm, disks }: Pick<House, 'vm' | 'disks'>, pattern: number): Promise<void> {
  for (const { node } of disks) await guestWrite(vm, node, pattern);
}

/** What the guest reads from each disk: `11 22`. */
export async function contents({ vm, disks }: Pick<House, 'vm' | 'disks'>): Promise<string> {
  const found: string[] = [];
  for (const { node } of disks) {
    const held: number[] = [];
    for (const pattern of PATTERNS) if (await guestReadPattern(vm, node, pattern)) held.push(pattern);
    found.push(wordFor(held[0]));
  }
  return found.join(' ');
}

/** What stands in images that nobody has open. */
export const imageContents = (images: readonly { file: string; format: string }[]): string =>
  images
    .map(({ file, format }) => wordFor(PATTERNS.find((pattern) => imageHolds({ file, format }, pattern))))
    .join(' ');

function imageHolds({ file, format }: { file: string; format: string }, pattern: number): boolean {
  const command = `read -q -P ${pattern} 0 65536`;
  const { status, stdout } = spawnSync('qemu-io', ['-f', format, '-c', command, file], { encoding: 'utf8' });
  return status === 0 && !stdout.includes('Pattern verification failed');
}

const wordFor = (pattern: number | undefined): string => pattern?.toString(16) ?? 'other';

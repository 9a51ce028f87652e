/* Are memory and disks of one instant after a load, wherever the memory was kept? */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseHumanText } from '#qmp';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { BOOT_SECTOR } from '../../deploy/demo/boot-sector.ts';
import { House } from './house.ts';
import { cleanUp, guestReadNumber, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

/** Where the guest of the demo counts. */
const COUNTER_ADDRESS = '0x9000';
const COUNTER_OFFSET = 51_200;
const COUNT_ATTEMPTS_MAX = 500;
const COUNT_PAUSE_MS = 20;

/** A machine whose guest counts in memory and on both disks. */
async function counting(): Promise<House> {
  const home = new House({ memoryMb: 32 });
  const sector = join(home.dir, 'boot.bin');
  writeFileSync(sector, BOOT_SECTOR);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -q -s ${sector} 0 512`, home.fileOf('a')]);
  await home.boot();
  await home.book.register(home.vm.monitorPath);
  return home;
}

async function memoryOf({ vm }: House): Promise<number> {
  const line = { 'command-line': `xp /1uw ${COUNTER_ADDRESS}` };
  const text = parseHumanText(await vm.monitor.execute('human-monitor-command', line));
  return Number(/:\s*(\d+)/.exec(text)?.[1]);
}

/** Memory, then each disk. Only of a machine that stands still they are one instant. */
async function counts(home: House): Promise<number[]> {
  const numbers = [await memoryOf(home)];
  for (const { node } of home.disks) numbers.push(await guestReadNumber(home.vm, node, COUNTER_OFFSET));
  return numbers;
}

async function countedTo(home: House, goal: number): Promise<void> {
  for (let attempt = 1; attempt <= COUNT_ATTEMPTS_MAX; attempt += 1) {
    if ((await memoryOf(home)) >= goal) return;
    await setTimeout(COUNT_PAUSE_MS);
  }
  throw new Error(`the guest has not counted to ${goal}`);
}

const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const bothExternal = [external('dev-da'), external('dev-db')];

const KINDS: { name: string; wish: Wish; isBuried?: boolean }[] = [
  { name: 'in a disk', wish: {} },
  { name: 'in a disk that is buried by now', wish: {}, isBuried: true },
  { name: 'in a file beside external disks', wish: { memory: 'external', disks: bothExternal } },
  { name: 'in a file beside internal disks', wish: { memory: 'external' } },
  {
    name: 'in a file beside internal disks that are buried by now',
    wish: { memory: 'external' },
    isBuried: true,
  },
  { name: 'beside one disk of each kind', wish: { disks: [internal('dev-da'), external('dev-db')] } },
];

describe.runIf(needsQemu())('memory', () => {
  test.each(KINDS)(
    '$name comes back with the disks of its instant, and counts on',
    async ({ wish, isBuried }) => {
      const home = await counting();
      await countedTo(home, 20);
      await home.vm.monitor.execute('stop');
      const then = await counts(home);
      const { snapshotId, end, report } = await home.book.create(wish);
      expect(end, JSON.stringify(report)).toBe('created');
      await home.vm.monitor.execute('cont');
      if (isBuried)
        expect((await home.book.create({ memory: 'none', disks: bothExternal })).end).toBe('created');
      await countedTo(home, (then[0] ?? 0) + 20);
      const pin = { snapshotId: v7(), what: 'memory' as const };
      expect((await home.book.load(snapshotId, { pin })).end).toBe('loaded'); // Captured standing, it stands.
      expect(await counts(home)).toEqual(then);
      await home.vm.monitor.execute('cont');
      await countedTo(home, (then[0] ?? 0) + 5);
      await home.vm.monitor.execute('stop');
      const later = await counts(home);
      expect(Math.max(...later) - Math.min(...later)).toBeLessThanOrEqual(1); // It counts there one after the other.
      expect((await home.book.load(pin.snapshotId, { resume: 'paused' })).end).toBe('loaded');
      const [saved = 0, ...disks] = await counts(home);
      expect(saved).toBeGreaterThanOrEqual((then[0] ?? 0) + 20);
      for (const disk of disks) expect(Math.abs(disk - saved)).toBeLessThanOrEqual(1);
    },
  );
});

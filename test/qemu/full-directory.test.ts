/* The directory of the images is full in the middle of the work: is everything as before, and does the guest run on? */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { v7 } from 'uuid';
import { type House, house } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';
import { SmallDisk } from './small-disk.ts';
import { refusedOf } from './standing.ts';

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const external = ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const }));
const copies = (home: House) => ({
  backups: ['dev-da', 'dev-db'].map((device) => ({
    ...{ device, target: join(home.dir, `${device}.copy`), format: 'qcow2' },
    ...{ sync: 'full' as const, fileMode: 'absolute-paths' as const },
  })),
});

const WISHES: Readonly<Record<string, (home: House) => Wish>> = {
  'snapshots inside the disks': () => ({ diskOnly: true }),
  'memory and disks': () => ({}),
  'new overlays': () => ({ disks: external, diskOnly: true }),
  'a state file': () => ({ memory: 'external', disks: external }),
  'a stream of memory': () => ({ memory: 'external', memoryFormat: 'stream', disks: external }),
  'copies of the disks': (home) => ({ ...copies(home), diskOnly: true }),
  'overlays beside copies': (home) => ({ ...copies(home), disks: external, diskOnly: true }),
};

const PLENTY = 1024 ** 3;

const disk = needsQemu() ? SmallDisk.mount() : null;
const isMounted = disk !== null;
const before = process.env['TMPDIR'];

afterAll(async () => {
  await cleanUp();
  disk?.unmount();
});

/** A machine on that file system, whose worker believes that there is room: it fills up after it has looked. */
async function cramped(): Promise<House> {
  process.env['TMPDIR'] = disk?.directory;
  const home = await house({
    world: (real) => ({ ...real, files: { ...real.files, freeBytes: async () => PLENTY } }),
  });
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  return home;
}

const CLUSTER_BYTES = 65_536;

/** Works until it ends; the disk is full all the while. */
async function whileFull(home: House, ask: () => void, freeBytes: number): Promise<string> {
  disk?.fill(freeBytes);
  const attempt = async () => {
    ask();
    return home.finish();
  };
  return refusedOf(home, attempt, 'but for the inside of disks').finally(() => disk?.empty());
}

const expectRunning = async (home: House, content: string): Promise<void> => {
  expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
  expect(await contents(home)).toBe(content);
};

describe.runIf(isMounted).each([0, 8 * 1024])('on a full file system with %d bytes left', (freeBytes) => {
  let home: House;
  beforeAll(async () => {
    home = await cramped();
  });

  test.each(Object.entries(WISHES))('%s are not half made', async (_, wish) => {
    await writeAll(home, 0x11);
    const wished = wish(home);
    expect(await whileFull(home, () => void home.book.ask(wished), freeBytes)).toBe('no-space');
    await expectRunning(home, '11 11');
  });

  test('and once there is room again, everything goes', async () => {
    const { end } = await home.book.create({ memory: 'external', disks: external });
    expect(end).toBe('created');
    await writeAll(home, 0x22);
    await expectRunning(home, '22 22');
    await home.off();
  });
});

/** So many external snapshots, each with a content of its own, and the machine above them. */
async function stacked(home: House, patterns: readonly number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const pattern of patterns) {
    await writeAll(home, pattern);
    const own = { offset: (1 + ids.length) * CLUSTER_BYTES, length: CLUSTER_BYTES };
    for (const { node } of home.disks) await guestWrite(home.vm, node, pattern, own);
    const { snapshotId, end } = await home.book.create({ disks: external, diskOnly: true });
    expect(end).toBe('created');
    ids.push(snapshotId);
  }
  await writeAll(home, 0x44);
  return ids;
}

describe.runIf(isMounted)('on a full file system', () => {
  test.each([null, { snapshotId: v7(), what: 'disks' as const }])(
    'nothing is loaded, and later it is: %j saved before',
    async (pin) => {
      const home = await cramped();
      const [, second = ''] = await stacked(home, [0x11, 0x22]);
      const ask = (): void => home.book.askLoad(second, pin ? { pin } : {});
      expect(await whileFull(home, ask, 0)).toBe('no-space');
      await expectRunning(home, '44 44');
      expect((await home.book.load(second)).end).toBe('loaded');
      await expectRunning(home, '22 22');
      await home.off();
    },
  );

  test('nothing is merged, and later it is', async () => {
    const home = await cramped();
    const [, second = ''] = await stacked(home, [0x11, 0x22, 0x33]);
    expect(await whileFull(home, () => home.book.askDelete(second), 0)).toBe('no-space');
    await expectRunning(home, '44 44');
    expect((await home.book.delete(second)).end).toBe('deleted');
    await expectRunning(home, '44 44');
    await home.off();
  });
});

/* Does a load of every kind, in the living process, bring back what was captured? */
import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = Parameters<House['book']['create']>[0];

/** Every disk holds 0x11 when it is captured and 0x22 by now. */
async function captured(home: House, wish: Wish): Promise<string> {
  await writeAll(home, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  await writeAll(home, 0x22);
  return snapshotId;
}

const stateOf = async ({ vm }: House): Promise<unknown> =>
  ((await vm.monitor.execute('query-status')) as { status: unknown }).status;

/** What the ledger says the disks stand on is what QEMU has under them. */
async function expectAgreement(home: House): Promise<void> {
  const blocks = (await home.vm.monitor.execute('query-block')) as {
    inserted: { file: string; 'node-name': string };
  }[];
  const known = home.book.vm.disks.map(({ file, node }) => `${file} ${node}`);
  expect(blocks.map(({ inserted }) => `${inserted.file} ${inserted['node-name']}`)).toEqual(known);
  expect(home.book.vm.hold).toBeNull();
  expect(home.book.vm.operation).toBeNull();
  for (const { file } of home.book.vm.layers.values()) expect(existsSync(file), file).toBe(true);
  expect(await home.jobsLeft()).toEqual([]);
}

const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const none = (device: string) => ({ device, mode: 'none' as const });

describe.runIf(needsQemu())('a load in the living process', () => {
  test.each<{ name: string; raw?: string; wish: Wish }>([
    { name: 'external disks', wish: { memory: 'none', disks: [external('dev-da'), external('dev-db')] } },
    {
      name: 'a raw disk',
      raw: 'b',
      wish: { memory: 'none', disks: [external('dev-da'), external('dev-db')] },
    },
    { name: 'disks without memory', wish: { diskOnly: true } },
    {
      name: 'one disk of each kind',
      wish: { memory: 'none', disks: [internal('dev-da'), external('dev-db')] },
    },
    { name: 'memory and disks', wish: {} },
    {
      name: 'memory in a state file beside external disks',
      wish: { memory: 'external', disks: [external('dev-da'), external('dev-db')] },
    },
    { name: 'memory in a state file beside internal disks', wish: { memory: 'external' } },
    {
      name: 'memory beside one disk of each kind',
      wish: { memory: 'internal', disks: [internal('dev-da'), external('dev-db')] },
    },
  ])('of $name brings them back, again and again', async ({ raw = '', wish }) => {
    const home = await house({ raw });
    const snapshotId = await captured(home, wish);
    for (let round = 1; round <= 2; round += 1) {
      const { end, report } = await home.book.load(snapshotId);
      expect(end, JSON.stringify(report)).toBe('loaded');
      expect(report).toMatchObject({ loaded: { runs: true } });
      expect(await contents(home)).toBe('11 11');
      expect(await stateOf(home)).toBe('running');
      await expectAgreement(home);
      await writeAll(home, 0x33);
    }
  });

  test('of one disk leaves the others as they are', async () => {
    const home = await house();
    const snapshotId = await captured(home, { memory: 'none', disks: [external('dev-da'), none('dev-db')] });
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(await contents(home)).toBe('11 22');
    await expectAgreement(home);
  });

  test.each([{ diskOnly: true }, {}])(
    'of what lies buried under a later overlay goes on in a copy: %j',
    async (wish) => {
      const home = await house();
      const buried = await captured(home, wish);
      const later = await captured(home, { memory: 'none', disks: [external('dev-da'), external('dev-db')] });
      await writeAll(home, 0x33);
      const { end, report } = await home.book.load(buried);
      expect(end, JSON.stringify(report)).toBe('loaded');
      expect(await contents(home)).toBe('11 11');
      await expectAgreement(home);
      await writeAll(home, 0x44);
      expect((await home.book.load(later)).end).toBe('loaded');
      expect(await contents(home)).toBe('11 11');
      expect((await home.book.load(buried)).end).toBe('loaded');
      expect(await contents(home)).toBe('11 11');
      await expectAgreement(home);
    },
  );

  test('keeps no top that it leaves, unless a snapshot is in it', async () => {
    const home = await house();
    const disks = [external('dev-da'), external('dev-db')];
    const snapshotId = await captured(home, { memory: 'none', disks });
    const left = home.book.vm.disks.map(({ file }) => file);
    const { end } = await home.book.load(snapshotId);
    expect(end).toBe('loaded');
    expect(left.map((file) => existsSync(file))).toEqual([false, false]);
    expect(home.book.vm.layers.size).toBe(4);
    await expectAgreement(home);
  });

  test.each(['cache.no-flush=on', 'detect-zeroes=on', 'detect-zeroes=unmap,discard=unmap'])(
    'and a capture keep what its disks were opened with: %s',
    async (options) => {
      const home = await house();
      await home.off();
      await home.boot({ disks: home.disks.map((disk) => ({ ...disk, options: [options] })) });
      const opened = async (): Promise<unknown[]> => {
        const blocks = (await home.vm.monitor.execute('query-block')) as {
          inserted: { cache: Record<string, boolean>; detect_zeroes: string };
        }[]; // Whether it writes back is what the guest's firmware has asked for.
        return blocks.map(({ inserted: { cache, detect_zeroes } }) => ({
          ...{ direct: cache['direct'], noFlush: cache['no-flush'], detect_zeroes },
        }));
      };
      const before = await opened();
      const inside = await captured(home, { diskOnly: true });
      const frozen = await captured(home, {
        memory: 'none',
        disks: [external('dev-da'), external('dev-db')],
      });
      expect(await opened()).toEqual(before);
      for (const snapshotId of [frozen, inside, frozen]) {
        const { end, report } = await home.book.load(snapshotId);
        expect(end, JSON.stringify(report)).toBe('loaded');
        expect(await opened()).toEqual(before);
      }
      await writeAll(home, 0x33);
      expect(await contents(home)).toBe('33 33');
    },
  );

  test('keeps the I/O limits of its disks', async () => {
    const home = await house();
    const id = '/machine/peripheral/dev-da/virtio-backend';
    const limits = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 7777, iops_rd: 0, iops_wr: 0 };
    await home.vm.monitor.execute('block_set_io_throttle', { id, ...limits });
    const inside = await captured(home, { diskOnly: true });
    const frozen = await captured(home, { memory: 'none', disks: [external('dev-da'), external('dev-db')] });
    for (const snapshotId of [frozen, inside]) {
      expect((await home.book.load(snapshotId)).end).toBe('loaded');
      const blocks = (await home.vm.monitor.execute('query-block')) as { inserted: { iops: number } }[];
      expect(blocks.map(({ inserted }) => inserted.iops)).toEqual([7777, 0]);
    }
  });
});

describe.runIf(needsQemu())('a load of a machine that is off, and is started meanwhile', () => {
  test('of external disks leaves it running on what it was started from', async () => {
    let start: (() => Promise<void>) | null = null;
    const home = await house({
      fault: async (point) => {
        if (point !== 'hypervisor.after-begin') return;
        await start?.();
        start = null;
      },
    });
    const disks = [external('dev-da'), external('dev-db')];
    const snapshotId = await captured(home, { memory: 'none', disks });
    await home.off();
    start = () => home.boot({ disks: home.present() });
    home.book.askLoad(snapshotId);
    expect((await home.finish()).end).toBe('undone: machine-busy');
    expect(await contents(home)).toBe('22 22');
    expect(await stateOf(home)).toBe('running');
    expect(home.book.vm.hold).toBeNull();
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(await contents(home)).toBe('11 11');
    await expectAgreement(home);
  });
});

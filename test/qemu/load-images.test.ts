/* Does a load bring back the images of a machine that is off, on whatever they stand, and does it start from them? */
import { v7 } from 'uuid';
import { pinsOf } from '#ledger';
import type { World } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House, type HouseOptions } from './house.ts';
import { contents, imageContents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu, type RigDisk } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const bothExternal = [external('dev-da'), external('dev-db')];

/** The disks as the ledger says that the machine is to be started. */
const presentDisks = ({ disks, book }: House): RigDisk[] =>
  disks.map(({ node }, at) => ({
    node,
    file: book.vm.disks[at]?.file ?? '',
    format: book.vm.disks[at]?.format === 'raw' ? 'raw' : 'qcow2',
  }));

/** Off; every disk held 0x11 when it was captured and holds 0x22 by now. */
async function capturedAndOff(
  wish: Wish,
  { isBuried = false, world }: { isBuried?: boolean | undefined } & Pick<HouseOptions, 'world'> = {},
): Promise<{ home: House; snapshotId: string }> {
  const home = await house(world && { world });
  await writeAll(home, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  if (isBuried) expect((await home.book.create({ memory: 'none', disks: bothExternal })).end).toBe('created');
  await writeAll(home, 0x22);
  await home.vm.stop();
  return { home, snapshotId };
}

const KINDS: { name: string; wish: Wish; isBuried?: boolean }[] = [
  { name: 'external disks', wish: { memory: 'none', disks: bothExternal } },
  { name: 'disks without memory', wish: { diskOnly: true } },
  {
    name: 'one disk of each kind',
    wish: { memory: 'none', disks: [internal('dev-da'), external('dev-db')] },
  },
  { name: 'the disks of memory and disks', wish: {} },
  { name: 'what lies buried', wish: { diskOnly: true }, isBuried: true },
];

describe.runIf(needsQemu())('a machine that is off', () => {
  test.each(KINDS)('is loaded: $name', async ({ wish, isBuried }) => {
    const { home, snapshotId } = await capturedAndOff(wish, { isBuried });
    const pin = { snapshotId: v7(), what: 'memory' as const };
    const { end, report } = await home.book.load(snapshotId, { disksOnly: true, pin });
    expect(end, JSON.stringify(report)).toBe('loaded');
    expect(report).toMatchObject({ loaded: { runs: false } });
    expect(imageContents(home.book.vm.disks)).toBe('11 11');
    await home.boot({ disks: presentDisks(home) });
    expect(await contents(home)).toBe('11 11');
    expect((await home.book.create()).end).toBe('created');
    expect(pinsOf(home.book.vm).map(({ id }) => id)).toEqual([pin.snapshotId]);
    expect((await home.book.load(pin.snapshotId)).end).toBe('loaded');
    expect(await contents(home)).toBe('22 22');
  });

  test('is not loaded with memory, wherever that is', async () => {
    const wish: Wish = { memory: 'external', disks: bothExternal };
    const { home, snapshotId } = await capturedAndOff(wish);
    expect((await home.book.load(snapshotId)).end).toBe('undone: needs-power-on');
    expect(imageContents(home.book.vm.disks)).toBe('22 22');
  });

  test('and is started when the load of a disk was cut off in its middle, never writes on that', async () => {
    let home: House | null = null; // Until its machine has been started.
    const cutOff = (real: World): World => ({
      ...real,
      run: async (program, args, options) => {
        const ended = await real.run(program, args, options);
        if (!home || !args.includes('-a')) return ended;
        const started = home.boot();
        home = null;
        await started;
        return { ...ended, code: 1, stderr: 'Input/output error' };
      },
    });
    const captured = await capturedAndOff({ diskOnly: true }, { world: cutOff });
    home = captured.home;
    const { book } = home;
    const { end, report } = await book.load(captured.snapshotId);
    expect(end, JSON.stringify(report)).toBe('held: needs-power-off');
    const { vm } = captured.home;
    expect(await vm.monitor.execute('query-status')).toMatchObject({ status: 'paused' });
    await vm.stop();
    expect((await book.load(captured.snapshotId)).end).toBe('loaded');
    expect(imageContents(book.vm.disks)).toBe('11 11');
  });
});

/* What keeps a load of any kind from beginning, or makes it stop half-way: is everything as before, or held? */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { v7 } from 'uuid';
import { pinsOf } from '#ledger';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const external = (device: string) => ({ device, mode: 'external' as const });
const bothExternal = [external('dev-da'), external('dev-db')];
const EXTERNAL: Wish = { memory: 'external', disks: bothExternal };

async function captured(home: House, wish: Wish): Promise<string> {
  await writeAll(home, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  await writeAll(home, 0x22);
  return snapshotId;
}

const stateOf = async ({ vm }: House): Promise<unknown> =>
  ((await vm.monitor.execute('query-status')) as { status: unknown }).status;

const imagesIn = ({ dir }: House): string[] => readdirSync(dir).filter((name) => name.endsWith('.qcow2'));

const fileOf = ({ book }: House, id: string, device: string): string =>
  book.snapshot(id).disks.find((disk) => disk.device === device)?.file ?? '';

/** The same disks under the same names, and the machine runs. */
async function expectUntouched(home: House, before: readonly string[]): Promise<void> {
  expect(await stateOf(home)).toBe('running');
  expect(imagesIn(home)).toEqual(before);
  expect(home.book.vm.hold).toBeNull();
  expect(pinsOf(home.book.vm)).toEqual([]);
}

describe.runIf(needsQemu())('a load', () => {
  test.each<{ name: string; harm: (file: string) => void }>([
    { name: 'gone', harm: (file) => rmSync(file) },
    { name: 'cut off', harm: (file) => truncateSync(file, 50) },
    { name: 'something else', harm: (file) => writeFileSync(file, 'nothing of yours'.repeat(100)) },
    {
      name: 'without its snapshot',
      harm: (file) => void execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '1M']),
    },
  ])('does not begin when the file with the memory is $name', async ({ harm }) => {
    const home = await house();
    const snapshotId = await captured(home, EXTERNAL);
    const file = home.book.snapshot(snapshotId).memory.file ?? '';
    harm(file);
    const before = imagesIn(home);
    expect((await home.book.load(snapshotId)).end).toBe('undone: snapshot-damaged');
    await expectUntouched(home, before);
    expect(await contents(home)).toBe('22 22');
  });

  test('does not begin when a layer below the frozen one is gone', async () => {
    const home = await house();
    const base = fileOf(home, await captured(home, { memory: 'none', disks: bothExternal }), 'dev-db');
    const snapshotId = await captured(home, { memory: 'none', disks: bothExternal });
    rmSync(base);
    const before = imagesIn(home);
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('undone: snapshot-damaged');
    expect(JSON.stringify(report)).toContain(base);
    await expectUntouched(home, before);
  });

  test('does not begin when a frozen layer stands on something else by now', async () => {
    const home = await house();
    await captured(home, { memory: 'none', disks: bothExternal });
    const snapshotId = await captured(home, { memory: 'none', disks: bothExternal });
    await home.vm.stop();
    const [frozen, other] = [fileOf(home, snapshotId, 'dev-da'), fileOf(home, snapshotId, 'dev-db')];
    execFileSync('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', other, '-F', 'qcow2', frozen]);
    const before = imagesIn(home);
    expect((await home.book.load(snapshotId)).end).toBe('undone: snapshot-damaged');
    expect(imagesIn(home)).toEqual(before);
  });

  test('does not begin when a buried image has lost the snapshot', async () => {
    const home = await house();
    const snapshotId = await captured(home, { diskOnly: true });
    await captured(home, { memory: 'none', disks: bothExternal });
    await home.vm.stop();
    execFileSync('qemu-img', ['snapshot', '-d', `sl-${snapshotId}`, fileOf(home, snapshotId, 'dev-db')]);
    const end = await home.book.load(snapshotId);
    expect(end.end).toBe('undone: snapshot-damaged');
  });

  test('whose new top cannot be made lets the machine run on as it was', async () => {
    const home = await house();
    const snapshotId = await captured(home, { memory: 'none', disks: bothExternal });
    const before = imagesIn(home);
    home.book.askLoad(snapshotId, { pin: { snapshotId: v7(), what: 'disks' } });
    const { operation } = home.book.vm;
    // Somebody has taken the name that the second top is to have.
    const node = `sl${operation?.id.replaceAll('-', '').slice(-24)}-2`;
    const other = { driver: 'null-co', 'node-name': node, size: 8 * 1024 * 1024, 'read-zeroes': true };
    await home.vm.monitor.execute('blockdev-add', other);
    await home.vm.monitor.execute('nbd-server-start', {
      addr: { type: 'unix', data: { path: `${home.dir}/nbd.sock` } },
    });
    await home.vm.monitor.execute('block-export-add', { id: 'e', type: 'nbd', 'node-name': node });
    expect((await home.finish()).end).toBe('undone: refused-by-qemu');
    await expectUntouched(home, before);
    expect(await contents(home)).toBe('22 22');
  });

  test('of memory that another machine saved is held, and the machine never runs on the loaded disks', async () => {
    const home = await house();
    const snapshotId = await captured(home, EXTERNAL);
    await home.vm.stop();
    const disks = home.disks.map(({ node }, at) => ({
      node,
      file: home.book.vm.disks[at]?.file ?? '',
      format: 'qcow2' as const,
    }));
    await home.boot({ disks, memoryMb: 128 });
    delete home.book.snapshot(snapshotId).memory.config; // As in a log of old, which does not tell of it.
    expect((await home.book.load(snapshotId)).end).toBe('held: config-mismatch');
    expect(await stateOf(home)).not.toBe('running');
    const blocks = (await home.vm.monitor.execute('query-block')) as { inserted: { file: string } }[];
    expect(blocks.map(({ inserted }) => inserted.file)).toEqual(home.book.vm.disks.map(({ file }) => file));
    const nodes = await home.vm.monitor.execute('query-named-block-nodes', { flat: true });
    expect(JSON.stringify(nodes)).not.toContain(home.book.snapshot(snapshotId).memory.file);
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
    expect(home.book.vm.hold).toBeNull();
    expect(await contents(home)).toBe('11 11');
    expect(await stateOf(home)).toBe('running');
  });

  test('of a stream of memory needs a new QEMU, and says so', async () => {
    const home = await house();
    const snapshotId = await captured(home, EXTERNAL);
    const { memory } = home.book.snapshot(snapshotId);
    Object.assign(memory, { format: 'stream' });
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('undone: needs-power-off');
    expect(JSON.stringify(report)).toContain('-incoming');
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
  });
});

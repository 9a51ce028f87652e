/* A file with memory whose QEMU died while it was taking it up: is it whole again when the load has ended? */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { FileTrouble } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { checked, house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

const external = (device: string) => ({ device, mode: 'external' as const });
const EXTERNAL = { memory: 'external' as const, disks: [external('dev-da'), external('dev-db')] };

const PAUSE_MS = 100;
/** Where a qcow2 header tells how many entries the table of the first level has, and where it is, in bytes. */
const TABLE_SIZE_AT = 36;
const TABLE_AT = 40;
const ENTRY_BYTES = 8;
/** "Nobody else uses this": what a revert that died half-way leaves where somebody does. */
const COPIED = 1n << 63n;

/** What a QEMU that was killed while it reverted an image leaves of it, about one time in ten. */
function tear(file: string, tag: string): void {
  execFileSync('qemu-img', ['snapshot', '-a', tag, file]);
  const image = readFileSync(file);
  const table = Number(image.readBigUInt64BE(TABLE_AT));
  for (let at = 0; at < image.readUInt32BE(TABLE_SIZE_AT); at += 1) {
    const place = table + at * ENTRY_BYTES;
    const entry = image.readBigUInt64BE(place);
    if (entry !== 0n) image.writeBigUInt64BE(entry | COPIED, place);
  }
  writeFileSync(file, image);
}

/** Whether a machine has the file open. */
async function isTakenUp({ vm }: House, file: string): Promise<boolean> {
  const nodes = (await vm.monitor.execute('query-named-block-nodes', { flat: true })) as { file: string }[];
  return nodes.some((node) => node.file === file);
}

describe.runIf(needsQemu())('memory of its own', () => {
  let isFull = false;
  let onTakenUp: (() => Promise<void>) | null = null;

  async function subject(): Promise<{ home: House; snapshotId: string; memory: string }> {
    isFull = false;
    onTakenUp = null;
    const home: House = await house({
      world: (real) => ({
        ...real,
        files: {
          ...real.files,
          fill: async (path, bytes) => {
            if (isFull) throw new FileTrouble('ENOSPC', path, 'ENOSPC: no space left on device, write');
            return real.files.fill(path, bytes);
          },
        },
        fault: async (name) => {
          if (name === 'hypervisor.before-act' && (await isTakenUp(home, memory))) await onTakenUp?.();
        },
      }),
    });
    await writeAll(home, 0x11);
    let memory = '';
    const { snapshotId } = await home.book.create(EXTERNAL);
    memory = home.book.snapshot(snapshotId).memory.file ?? '';
    await writeAll(home, 0x22);
    return { home, snapshotId, memory };
  }

  /** QEMU dies when the load has begun to read it. */
  const killed = async (home: House, snapshotId: string, memory: string): Promise<void> => {
    onTakenUp = null;
    await home.vm.kill();
    home.forget();
    tear(memory, `sl-${snapshotId}`);
    expect(checked(memory)).toBe(2);
  };

  test('is whole, and can be loaded, after a load that was given back in the next QEMU', async () => {
    const { home, snapshotId, memory } = await subject();
    onTakenUp = async () => {
      await killed(home, snapshotId, memory);
      isFull = true;
      await home.boot({ disks: home.present() });
    };
    home.book.askLoad(snapshotId);
    expect((await home.finish()).end).toBe('undone: no-space');
    expect(checked(memory)).toBe(0);
    isFull = false;
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(await contents(home)).toBe('11 11');
  });

  test('is whole while the load waits for the next QEMU', async () => {
    const { home, snapshotId, memory } = await subject();
    onTakenUp = () => killed(home, snapshotId, memory);
    home.book.askLoad(snapshotId);
    let found: number | null = null;
    const { end } = await home.finish(async () => {
      if (home.isOn) return setTimeout(PAUSE_MS);
      found = checked(memory);
      await home.boot({ disks: home.present() });
    });
    expect([end, found, checked(memory)]).toEqual(['loaded', 0, 0]);
    expect(await contents(home)).toBe('11 11');
  });
});

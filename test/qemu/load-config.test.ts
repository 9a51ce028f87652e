/* Does memory only go back into the machine that it was saved from? */
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu, type RigOptions } from './rig.ts';

afterAll(cleanUp);

const stateOf = async ({ vm }: House): Promise<unknown> =>
  ((await vm.monitor.execute('query-status')) as { status: unknown }).status;

type Wish = Parameters<House['book']['create']>[0];

/** A machine that holds 0x22, with a snapshot of 0x11, started anew as another one. */
async function changed(change: Partial<RigOptions>, wish: Wish = {}): Promise<[House, string]> {
  const home = await house({ letters: 'a' });
  await guestWrite(home.vm, 'da', 0x11);
  const { snapshotId, end } = await home.book.create(wish);
  expect(end).toBe('created');
  await guestWrite(home.vm, 'da', 0x22);
  await home.off();
  await home.boot({ disks: home.present(), ...change });
  return [home, snapshotId];
}

describe.runIf(needsQemu())('memory of another machine', () => {
  test.each<[string, Partial<RigOptions>, Wish?]>([
    ['the memory was 64 MiB, is 128 MiB', { memoryMb: 128 }],
    [
      'the device extra (virtio-rng-pci) was not there, and is',
      { extraArgs: ['-device', 'virtio-rng-pci,id=extra'] },
    ],
    ['the device (virtio-rng-pci) was not there, and is', { extraArgs: ['-device', 'virtio-rng-pci'] }],
    ['the machine type was pc-q35-7.2, is pc-i440fx-7.2', { extraArgs: ['-M', 'pc-i440fx-7.2'] }],
    ['the number of CPUs was 1, is 2', { extraArgs: ['-smp', '2'] }],
    ['the CPU model was qemu64-x86_64-cpu, is max-x86_64-cpu', { extraArgs: ['-cpu', 'max'] }],
    ['the memory was 64 MiB, is 128 MiB', { memoryMb: 128 }, { memory: 'external' }],
  ])('is refused before anything stops: %s', async (words, change, wish) => {
    const [home, snapshotId] = await changed(change, wish);
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('undone: config-mismatch');
    expect(JSON.stringify(report)).toContain(words);
    expect(
      home.book.events.some(
        ({ type, data }) => type === 'OperationStarted' && data.operationId === operationOf(report),
      ),
    ).toBe(false);
    expect(await stateOf(home)).toBe('running');
    expect(await guestReadPattern(home.vm, 'da', 0x22)).toBe(true);
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded'); // Disks fit any machine.
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
  });

  test('is welcome in a machine that was started anew and is the same', async () => {
    const [home, snapshotId] = await changed({});
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(await guestReadPattern(home.vm, 'da', 0x11)).toBe(true);
  });

  test('is known by the event of its capture; a capture of disks asks nothing of the machine', async () => {
    const home = await house({ letters: 'a' });
    const { snapshotId } = await home.book.create();
    expect(home.book.snapshot(snapshotId).memory.config).toMatchObject({
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      facts: {
        ...{ machine: 'pc-q35-7.2', ramBytes: 64 * 1024 ** 2, cpus: 1, cpuModel: 'qemu64-x86_64-cpu' },
        ...{ qemu: expect.stringMatching(/^7\.2$/), devices: ['dev-da (virtio-blk-pci)'] },
      },
    });
    const disks = await home.book.create({ diskOnly: true });
    expect(home.book.snapshot(disks.snapshotId).memory).toEqual({ mode: 'none' });
  });
});

const operationOf = (report: object): unknown =>
  'failed' in report ? (report.failed as { operationId: string }).operationId : null;

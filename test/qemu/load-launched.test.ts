/* Does a load that needs a new QEMU bring back what was captured, and is nothing lost when it cannot? */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { pinsOf } from '#ledger';
import { v7 } from 'uuid';
import { house, House, imageHolds } from './house.ts';
import { type LaunchedHouse, withLauncher } from './launcher.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu, type RigMachine } from './rig.ts';

const launchers: LaunchedHouse[] = [];
afterEach(() => {
  for (const { kill } of launchers.splice(0)) kill();
});
afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const STREAM = { memory: 'external', memoryFormat: 'stream' } as const;
const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const none = (device: string) => ({ device, mode: 'none' as const });

/** Where the firmware waits for a key press nobody writes: what was put there before the capture. */
const MARK_AT = 0x9_0000;

async function human({ monitor }: Pick<RigMachine, 'monitor'>, line: string): Promise<string> {
  return String(await monitor.execute('human-monitor-command', { 'command-line': line }));
}

/** Four bytes of the guest's memory, as the CPU sees them. */
const markOf = async (vm: RigMachine): Promise<string> =>
  /0x[0-9a-f]{8}\b/.exec((await human(vm, `xp /1wx ${MARK_AT}`)).split(':')[1] ?? '')?.[0] ?? '';

const stateOf = async ({ monitor }: RigMachine): Promise<string> =>
  ((await monitor.execute('query-status')) as { status: string }).status;

async function launcherFor(
  home: House,
  options?: Parameters<typeof withLauncher>[1],
): Promise<LaunchedHouse> {
  const launcher = await withLauncher(home, options);
  launchers.push(launcher);
  return launcher;
}

/** Every disk holds 0x11 when it is captured and 0x22 by now. */
async function captured(wish: Wish, mark?: string): Promise<{ home: House; snapshotId: string }> {
  const home = await house({
    ...(mark && { extraArgs: ['-device', `loader,addr=${MARK_AT},data=${mark},data-len=4`] }),
  });
  await writeAll(home, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  await writeAll(home, 0x22);
  return { home, snapshotId };
}

const on = async (home: House, launcher: LaunchedHouse) => ({
  vm: await launcher.machine(),
  disks: home.disks,
});

describe.runIf(needsQemu())('a load with a new QEMU', () => {
  test.each<[string, Wish]>([
    ['internal', { disks: [internal('dev-da'), internal('dev-db')] }],
    ['external', { disks: [external('dev-da'), external('dev-db')] }],
    ['one of each kind', { disks: [internal('dev-da'), external('dev-db')] }],
  ])('brings back streamed memory beside %s disks', async (_, wish) => {
    const { home, snapshotId } = await captured({ ...STREAM, ...wish });
    const launcher = await launcherFor(home);
    const { end, report } = await home.book.load(snapshotId, { pin: { snapshotId: v7(), what: 'disks' } });
    expect(end, JSON.stringify(report)).toBe('loaded');
    const machine = await on(home, launcher);
    expect(await contents(machine)).toBe('11 11');
    expect(await stateOf(machine.vm)).toBe('running');
    expect(readdirSync(join(home.dir, 'sockets'))).toEqual([]);
    expect(pinsOf(home.book.vm)).toHaveLength(1);
    const [pin] = pinsOf(home.book.vm);
    expect((await home.book.load(pin?.id ?? '')).end, 'a load can be undone').toBe('loaded');
    expect(await contents(machine)).toBe('22 22');
  });

  test('takes up the memory itself, not a fresh one', async () => {
    const { home, snapshotId } = await captured(STREAM, '0xfeedbeef');
    expect(await markOf(home.vm)).toBe('0xfeedbeef');
    const launcher = await launcherFor(home); // Which puts no mark anywhere.
    home.vm.monitor.close();
    expect(home.book.snapshot(snapshotId).memory.config?.facts.devices).toEqual([
      '(loader)',
      'dev-da (virtio-blk-pci)',
      'dev-db (virtio-blk-pci)',
    ]);
    home.book.snapshot(snapshotId).memory = {
      ...home.book.snapshot(snapshotId).memory,
      config: undefined as never,
    };
    expect((await home.book.load(snapshotId, { resume: 'paused' })).end).toBe('loaded');
    const vm = await launcher.machine();
    expect(await stateOf(vm)).toBe('paused');
    expect(await markOf(vm)).toBe('0xfeedbeef');
  });

  test('starts a machine that is off, for its memory in a stream', async () => {
    const { home, snapshotId } = await captured({
      ...STREAM,
      disks: [external('dev-da'), external('dev-db')],
    });
    await home.off();
    const launcher = await launcherFor(home);
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(await contents(await on(home, launcher))).toBe('11 11');
  });

  test.each<[string, Wish]>([
    ['its disks', {}],
    ['a state file beside internal disks', { memory: 'external' }],
    [
      'a state file beside external disks',
      { memory: 'external', disks: [external('dev-da'), external('dev-db')] },
    ],
  ])('starts a machine that is off, for its memory in %s', async (_, wish) => {
    const { home, snapshotId } = await captured(wish);
    await home.off();
    const launcher = await launcherFor(home);
    const { end, report } = await home.book.load(snapshotId, { pin: { snapshotId: v7(), what: 'disks' } });
    expect(end, JSON.stringify(report)).toBe('loaded');
    const machine = await on(home, launcher);
    expect(await contents(machine)).toBe('11 11');
    expect(await stateOf(machine.vm)).toBe('running');
  });

  test('starts a machine that is off and is to run, and leaves off one that is not', async () => {
    const { home, snapshotId } = await captured({ diskOnly: true });
    await home.off();
    const launcher = await launcherFor(home);
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(existsSync(join(home.dir, 'qemu.pid'))).toBe(false);
    expect((await home.book.load(snapshotId, { resume: 'running' })).end).toBe('loaded');
    const machine = await on(home, launcher);
    expect(await contents(machine)).toBe('11 11');
    expect(await stateOf(machine.vm)).toBe('running');
  });

  test('loads a legacy machine, whose images a living process cannot exchange', async () => {
    const home = new House({ letters: 'a' });
    const file = home.fileOf('a');
    await home.boot({
      disks: [],
      extraArgs: [
        '-drive',
        `if=none,id=old,format=qcow2,file=${file}`,
        '-device',
        'virtio-blk-pci,drive=old',
      ],
    });
    await home.book.register(home.vm.monitorPath);
    const { snapshotId, end } = await home.book.create({ diskOnly: true });
    expect(end).toBe('created');
    expect((await home.book.load(snapshotId)).end).toBe('undone: needs-power-off');
    expect(await stateOf(home.vm)).toBe('running');
    const launcher = await launcherFor(home);
    const loaded = await home.book.load(snapshotId);
    expect(loaded.end, JSON.stringify(loaded.report)).toBe('loaded');
    expect(await stateOf(await launcher.machine())).toBe('running');
  });
});

describe.runIf(needsQemu())('without a launcher', () => {
  test.each<[string, Wish, 'on' | 'off', string]>([
    ['streamed memory', STREAM, 'on', 'needs-power-off'],
    ['streamed memory of a machine that is off', STREAM, 'off', 'needs-power-on'],
    ['memory of a machine that is off', {}, 'off', 'needs-power-on'],
  ])('%s is refused in words, and nothing stops', async (_, wish, power, reason) => {
    const { home, snapshotId } = await captured(wish);
    if (power === 'off') await home.off();
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe(`undone: ${reason}`);
    expect(JSON.stringify(report)).toContain('--launcher-start');
    if (power === 'on') {
      expect(await stateOf(home.vm)).toBe('running');
      expect(await contents(home)).toBe('22 22');
    }
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
  });
});

describe.runIf(needsQemu())('a load with a new QEMU that cannot be', () => {
  test('is refused when the stream is not what was saved: shorter, other bytes, or gone', async () => {
    const { home, snapshotId } = await captured(STREAM);
    await launcherFor(home);
    const file = home.book.snapshot(snapshotId).memory.file ?? '';
    const bytes = readFileSync(file);
    const refused = async (words: string): Promise<void> => {
      const { end, report } = await home.book.load(snapshotId);
      expect(end).toBe('undone: snapshot-damaged');
      expect(JSON.stringify(report)).toContain(words);
      expect(await stateOf(home.vm)).toBe('running');
    };
    truncateSync(file, bytes.length - 1);
    await refused('should have');
    writeFileSync(file, Buffer.concat([bytes.subarray(0, -1), Buffer.from([1 ^ (bytes.at(-1) ?? 0)])]));
    await refused('is not what was saved');
    await import('node:fs').then(({ rmSync }) => rmSync(file));
    await refused('is gone');
  });

  test('changes nothing when the old QEMU does not end', async () => {
    const { home, snapshotId } = await captured({
      ...STREAM,
      disks: [internal('dev-da'), external('dev-db')],
    });
    await launcherFor(home);
    writeFileSync(join(home.dir, 'stop.mjs'), 'throw new Error("not today")');
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('undone: needs-power-off');
    expect(JSON.stringify(report)).toContain('not today');
    expect(await stateOf(home.vm)).toBe('running');
    expect(await contents(home)).toBe('22 22');
  });

  test('is held, and off, when the new QEMU is another machine; its disks can be loaded', async () => {
    const { home, snapshotId } = await captured({
      ...STREAM,
      disks: [external('dev-da'), external('dev-db')],
    });
    await launcherFor(home, { extra: ['-m', '128'] });
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('held: config-mismatch');
    expect(JSON.stringify(report)).toContain('the memory was 64 MiB, is 128 MiB');
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
    for (const { file } of home.book.vm.disks) expect(imageHolds(file, 0x11)).toBe(true);
  });

  test('undoes itself when a machine that was off starts as another one', async () => {
    const { home, snapshotId } = await captured({});
    await home.off();
    await launcherFor(home, { extra: ['-m', '128'] });
    const { end } = await home.book.load(snapshotId);
    expect(end).toBe('undone: config-mismatch');
    for (const { file } of home.book.vm.disks) expect(imageHolds(file, 0x22)).toBe(true);
  });

  test('is held when the new QEMU never comes', async () => {
    const { home, snapshotId } = await captured({ ...STREAM, disks: [none('dev-da'), external('dev-db')] });
    await launcherFor(home);
    writeFileSync(join(home.dir, 'start.mjs'), 'throw new Error("no room")');
    home.book.askLoad(snapshotId);
    const { end, report } = await home.finish();
    expect(end).toBe('held: machine-gone');
    expect(JSON.stringify(report)).toContain('no room');
  });
});

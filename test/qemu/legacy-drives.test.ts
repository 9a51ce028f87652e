/* A machine whose disks were given with -drive, without node names: what of it can be taken, loaded and deleted? */
import { join } from 'node:path';
import { parseHumanText } from '#qmp';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { House } from './house.ts';
import { cleanUp, makeDisk, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

/** `if=virtio` makes device and drive in one, under names of QEMU's own. */
const STYLES = {
  'if=virtio': (file: string) => ['-drive', `if=virtio,format=qcow2,file=${file}`],
  'if=none': (file: string, letter: string) => [
    ...['-drive', `if=none,id=drive-${letter},format=qcow2,file=${file}`],
    ...['-device', `virtio-blk-pci,drive=drive-${letter},id=dev-${letter}`],
  ],
} as const;
type Style = keyof typeof STYLES;

const DRIVES = { 'if=virtio': ['virtio0', 'virtio1'], 'if=none': ['drive-x', 'drive-y'] } as const;

async function legacy(style: Style): Promise<House> {
  const home = new House({ letters: '' });
  const args = ['x', 'y'].flatMap((letter) =>
    STYLES[style](makeDisk(join(home.dir, `${letter}.qcow2`)), letter),
  );
  await home.boot({ extraArgs: args });
  await home.book.register(home.vm.monitorPath);
  return home;
}

async function io(home: House, drive: string, command: string): Promise<string> {
  const before = home.vm.stdout().length;
  const line = `qemu-io ${drive} "${command}"`;
  const refused = parseHumanText(
    await home.vm.monitor.execute('human-monitor-command', { 'command-line': line }),
  );
  expect(refused).toBe('');
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const said = home.vm.stdout().slice(before);
    if (/ ops; |failed/.test(said)) return said;
    await setTimeout(10);
  }
  throw new Error(`qemu-io said nothing to ${command}`);
}

const writeBoth = async (home: House, style: Style, pattern: number): Promise<void> => {
  for (const drive of DRIVES[style]) await io(home, drive, `write -P ${pattern} 0 65536`);
};

async function holds(home: House, style: Style, pattern: number): Promise<boolean> {
  for (const drive of DRIVES[style]) {
    const said = await io(home, drive, `read -P ${pattern} 0 65536`);
    if (said.includes('Pattern verification failed')) return false;
  }
  return true;
}

async function captured(home: House, style: Style, wish: Wish): Promise<string> {
  await writeBoth(home, style, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  await writeBoth(home, style, 0x22);
  return snapshotId;
}

const external = (style: Style) => DRIVES[style].map((device) => ({ device, mode: 'external' as const }));
const STYLE_NAMES = Object.keys(STYLES) as Style[];

describe.runIf(needsQemu()).each(STYLE_NAMES)('a machine of %s', (style) => {
  test('is captured inside with memory, loaded, and the snapshot deleted', async () => {
    const home = await legacy(style);
    const snapshotId = await captured(home, style, {});
    const { end, report } = await home.book.load(snapshotId);
    expect(end, JSON.stringify(report)).toBe('loaded');
    expect(report).toMatchObject({ loaded: { runs: true } });
    expect(await holds(home, style, 0x11)).toBe(true);
    expect((await home.book.delete(snapshotId)).end).toBe('deleted');
  });

  test('is captured in disks only; to load that it must be off, and is told so', async () => {
    const home = await legacy(style);
    const snapshotId = await captured(home, style, { diskOnly: true });
    const { end, report } = await home.book.load(snapshotId);
    expect(end).toBe('undone: needs-power-off');
    expect(JSON.stringify(report)).toMatch(/without a node name \(-drive\).*power the machine off/);
    expect(await holds(home, style, 0x22)).toBe(true);
    await home.off();
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect((await home.book.delete(snapshotId)).end).toBe('deleted');
  });

  test('is captured outside, with memory in a file; what it goes on in has a name, so that it is loaded', async () => {
    const home = await legacy(style);
    const snapshotId = await captured(home, style, { memory: 'external', disks: external(style) });
    for (let round = 1; round <= 2; round += 1) {
      const loaded = await home.book.load(snapshotId);
      expect(loaded.end, JSON.stringify(loaded.report)).toBe('loaded');
      expect(await holds(home, style, 0x11)).toBe(true);
      await writeBoth(home, style, 0x22);
    }
    const { end, report } = await home.book.delete(snapshotId);
    expect(end, JSON.stringify(report)).toBe('deleted');
    expect(await holds(home, style, 0x22)).toBe(true);
  });

  test('keeps what it was when a load with memory saves the present first', async () => {
    const home = await legacy(style);
    const snapshotId = await captured(home, style, {});
    const pin = { snapshotId: '0199b1b1-0000-7000-8000-000000000001', what: 'memory' as const };
    expect((await home.book.load(snapshotId, { pin })).end).toBe('loaded');
    expect((await home.book.load(pin.snapshotId)).end).toBe('loaded');
    expect(await holds(home, style, 0x22)).toBe(true);
  });
});

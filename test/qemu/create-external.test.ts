/* Do external captures freeze what was there, and does the machine go on above it? */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, test } from 'vitest';
import { type House, house, imageHolds } from './house.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

const external = (...devices: string[]) => devices.map((device) => ({ device, mode: 'external' as const }));
const both = external('dev-da', 'dev-db');

const topsOf = async (home: House): Promise<string[]> => {
  const blocks = await home.vm.monitor.execute('query-block');
  return (blocks as { inserted?: { file: string } }[]).map(({ inserted }) => inserted?.file ?? '');
};

const stateOf = async (home: House): Promise<string> =>
  ((await home.vm.monitor.execute('query-status')) as { status: string }).status;

const strays = (home: House): string[] => readdirSync(home.dir).filter((name) => name.startsWith('sl-'));

describe.runIf(needsQemu())('an external capture of a running machine', () => {
  test('freezes both disks at once, and the machine goes on above them', async () => {
    const home = await house();
    await guestWrite(home.vm, 'da', 0xa1);
    const { snapshotId, end } = await home.book.create({ disks: both, diskOnly: true });
    expect(end).toBe('created');
    const { disks } = home.book.snapshot(snapshotId);
    expect(disks.map(({ file }) => file)).toEqual([home.fileOf('a'), home.fileOf('b')]);
    expect(await topsOf(home)).toEqual(home.book.vm.disks.map(({ file }) => file));
    await guestWrite(home.vm, 'da', 0xb2);
    await home.vm.stop();
    expect(imageHolds(home.fileOf('a'), 0xa1)).toBe(true);
    expect(imageHolds(home.book.vm.disks[0]?.file ?? '', 0xb2)).toBe(true);
  });

  test('a raw disk can be captured too, beside an internal one in the same transaction', async () => {
    const home = await house({ letters: 'ab', raw: 'b' });
    const { snapshotId, end } = await home.book.create({ disks: external('dev-db'), diskOnly: true });
    expect(end).toBe('created');
    expect(home.book.snapshot(snapshotId).disks).toMatchObject([
      { device: 'dev-da', mode: 'internal', file: home.fileOf('a') },
      { device: 'dev-db', mode: 'external', file: home.fileOf('b') },
    ]);
    expect(home.tags()).toEqual(home.tagsOf(snapshotId));
  });

  test.each([
    ['internal', both],
    ['external', both],
    ['external', []],
    ['internal', external('dev-da')],
    [
      'external',
      [
        { device: 'dev-da', mode: 'none' as const },
        { device: 'dev-db', mode: 'none' as const },
      ],
    ],
  ] as const)(
    'memory %s with disks %j goes into a state file, and the machine runs on',
    async (memory, disks) => {
      const home = await house();
      const { snapshotId, end } = await home.book.create({ memory, disks });
      expect(end).toBe('created');
      const saved = home.book.snapshot(snapshotId).memory;
      expect(saved).toMatchObject({ mode: memory, file: expect.stringContaining('memory.qcow2') });
      expect(saved.sizeBytes).toBeGreaterThan(100_000);
      expect(await stateOf(home)).toBe('running');
      const nodes = JSON.stringify(await home.vm.monitor.execute('query-named-block-nodes', { flat: true }));
      expect(nodes).not.toContain('memory.qcow2');
    },
  );

  test('the caller may say where, or bring the overlays along', async () => {
    const home = await house();
    const [mine, theirs] = [join(home.dir, 'mine.qcow2'), join(home.dir, 'theirs.qcow2')];
    const base = ['-b', home.fileOf('b'), '-F', 'qcow2'];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...base, theirs, '8M']);
    const { end } = await home.book.create({
      disks: [
        { device: 'dev-da', mode: 'external', file: mine },
        { device: 'dev-db', mode: 'external', file: theirs, fileMode: 'existing' },
      ],
      diskOnly: true,
    });
    expect(end).toBe('created');
    expect(await topsOf(home)).toEqual([mine, theirs]);
  });

  test('what fails in the transaction leaves no file and no open image', async () => {
    const home = await house({ letters: 'ab' });
    const taken = join(home.dir, 'taken.qcow2');
    writeFileSync(taken, 'mine');
    const { end } = await home.book.create({
      disks: [{ device: 'dev-da', mode: 'external', file: taken }, ...external('dev-db')],
      diskOnly: true,
    });
    expect(end).toBe('undone: path-not-allowed');
    expect(strays(home)).toEqual([]);
    expect(await topsOf(home)).toEqual([home.fileOf('a'), home.fileOf('b')]);
  });
});

describe.runIf(needsQemu())('a capture whose memory cannot be saved', () => {
  /** A device that QEMU cannot save, and only says so when it is asked to. */
  const nvme = [
    '-blockdev',
    'driver=null-co,node-name=nn,size=1048576',
    '-device',
    'nvme,drive=nn,serial=x,id=n',
  ];

  test('goes down into the images again: the machine runs on from where it stood, and no file is left', async () => {
    const home = await house({ extraArgs: nvme });
    await guestWrite(home.vm, 'da', 0x5a);
    const disks = [...both, { device: 'n', mode: 'none' as const }];
    const { end } = await home.book.create({ memory: 'external', disks });
    expect(end).toBe('undone: unsupported');
    expect(await topsOf(home)).toEqual([home.fileOf('a'), home.fileOf('b'), expect.anything()]);
    expect(strays(home)).toEqual([]);
    expect(await stateOf(home)).toBe('running');
    expect([...home.book.vm.layers.keys()].filter((file) => file.includes('sl-'))).toEqual([]);
    await home.vm.stop();
    expect(imageHolds(home.fileOf('a'), 0x5a)).toBe(true);
    expect(home.health()).toEqual([0, 0]);
  });
});

describe.runIf(needsQemu())('an external capture of a machine that is off', () => {
  test('freezes its images; it is to be started from the new ones', async () => {
    const home = await house();
    await home.vm.stop();
    const { snapshotId, end } = await home.book.create({ disks: both });
    expect(end).toBe('created');
    expect(home.book.snapshot(snapshotId)).toMatchObject({
      vmState: 'shutoff',
      disks: [{ file: home.fileOf('a') }, {}],
    });
    for (const { file } of home.book.vm.disks) expect(existsSync(file)).toBe(true);
    const again = await home.book.create({ disks: both });
    expect(again.end).toBe('created');
  });
});

/* Do create, load and delete work on the real images of a machine that is off? */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { backup } from './backups.ts';
import { hastyWorld } from './haste.ts';
import { house, House, imageHolds, imageWrite } from './house.ts';
import { cleanUp, guestWrite, makeDirectory, makeDisk, needsQemu, snapshotTags } from './rig.ts';

afterAll(cleanUp);

/** A machine that was never seen running: its disks are described. */
async function described(options: ConstructorParameters<typeof House>[0] = {}): Promise<House> {
  const home = new House(options);
  const disks = home.disks.map(({ node: device, file, format }) => ({ device, file, format }));
  await home.book.register(join(home.dir, 'qmp-0.sock'), disks);
  return home;
}

const writeAll = ({ disks }: House, pattern: number): void =>
  disks.forEach(({ file }) => imageWrite(file, pattern));

const allHold = ({ disks }: House, pattern: number): boolean =>
  disks.every(({ file }) => imageHolds(file, pattern));

describe.runIf(needsQemu())('on a machine that is off', () => {
  test('four disks are captured, loaded and let go', async () => {
    const home = await described({ letters: 'abcd' });
    writeAll(home, 0x11);
    const { snapshotId, end, report } = await home.book.create();
    expect(end).toBe('created');
    expect(report).toMatchObject({
      created: { vmState: 'shutoff', consistency: 'offline', memory: { mode: 'none' } },
    });
    expect(home.tags()).toEqual(home.tagsOf(snapshotId));

    writeAll(home, 0x22);
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(allHold(home, 0x11)).toBe(true);
    expect((await home.book.delete(snapshotId)).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf());
    expect(allHold(home, 0x11)).toBe(true);
    expect(home.health()).toEqual([0, 0, 0, 0]);
  });

  test('what was captured while it ran can be loaded, disks only', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create();
    await home.vm.stop();
    writeAll(home, 0x22);
    expect((await home.book.load(snapshotId)).end).toBe('undone: needs-power-on');
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
    expect(allHold(home, 0x22)).toBe(false);
  });

  test.each([
    { each: 'captured', call: 'snapshot 1', letter: 'b' },
    { each: 'captured', call: 'snapshot 2', letter: 'a' },
    { each: 'copied', call: 'convert 1', letter: 'b' },
  ])('disks of which one is written behind $call, before it is $each, are none at all', async (story) => {
    const { each, call, letter } = story;
    const calls: string[] = [];
    const home = await described({
      world: (real) => ({
        ...real,
        run: async (program, args, options) => {
          const ended = await real.run(program, args, options);
          const word = args[0] ?? '';
          calls.push(word);
          // As by a machine that was started, and ended, between the one and the other.
          if (`${word} ${calls.filter((one) => one === word).length}` === call)
            imageWrite(home.fileOf(letter), 0x33);
          return ended;
        },
      }),
    });
    const targets = ['a', 'b'].map((letter) => join(home.dir, `copy-${letter}.qcow2`));
    const backups = targets.map((target, at) => backup(home.disks[at]?.node ?? '', target));
    const { end, report } = await home.book.create({ backups });
    expect([end, JSON.stringify(report)]).toEqual([
      'undone: machine-busy',
      expect.stringContaining(`written while the disks were ${each} one by one`),
    ]);
    expect(home.tags()).toEqual(home.tagsOf());
    expect(targets.filter((target) => existsSync(target))).toEqual([]);
  });

  test.each([
    { each: 'captured', call: 'snapshot 2', isOrderly: true },
    { each: 'captured', call: 'snapshot 2', isOrderly: false },
    { each: 'copied', call: 'convert 2', isOrderly: true },
    { each: 'copied', call: 'convert 1', isOrderly: false },
  ])('disks are none at all where the machine has run right before $call', async (story) => {
    const { each, call, isOrderly } = story;
    const calls: string[] = [];
    const home = await described({
      world: (real) => ({
        ...real,
        run: async (program, args, options) => {
          const word = args[0] ?? '';
          calls.push(word);
          if (`${word} ${calls.filter((one) => one === word).length}` === call) {
            await home.boot();
            if (!isOrderly) await home.vm.kill();
            await home.off();
            writeAll(home, 0x33);
          }
          return real.run(program, args, options);
        },
      }),
    });
    const copied = each === 'copied' ? ['a', 'b'] : [];
    const targets = copied.map((letter) => join(home.dir, `copy-${letter}.qcow2`));
    const backups = targets.map((target, at) => backup(home.disks[at]?.node ?? '', target));
    const { end, report } = await home.book.create(backups.length > 0 ? { backups } : {});
    expect([end, JSON.stringify(report)]).toEqual([
      'undone: machine-busy',
      expect.stringContaining(`written while the disks were ${each} one by one`),
    ]);
    expect(home.tags()).toEqual(home.tagsOf());
    expect(targets.filter((target) => existsSync(target))).toEqual([]);
  });

  test('disks of which one was written once it was captured are none at all', async () => {
    let isWritten = false;
    const home = await described({
      world: (real) => ({
        ...real,
        run: async (program, args, options) => {
          // Nobody knows whether by the same run that has written the other, or not.
          if (args[0] === 'snapshot' && isWritten) imageWrite(home.fileOf('a'), 0x33);
          isWritten ||= args[0] === 'snapshot';
          return real.run(program, args, options);
        },
      }),
    });
    const { end } = await home.book.create();
    expect([end, imageHolds(home.fileOf('a'), 0x33)]).toEqual(['undone: machine-busy', true]);
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test.each([
    { end: 'ends in good order', isOrderly: true },
    { end: 'is killed', isOrderly: false },
  ])(
    'disks are none at all that a machine $end between, begun behind the one and not looked at',
    async (story) => {
      let captures = 0;
      const home = await described({
        world: (real) => ({
          ...real,
          run: async (program, args, options) => {
            if (args[0] !== 'snapshot') return real.run(program, args, options);
            captures += 1;
            if (captures === 2) {
              await guestWrite(home.vm, 'db', 0x44);
              await (story.isOrderly ? home.vm.stop() : home.vm.kill());
              home.forget();
            }
            const ended = await real.run(program, args, options);
            if (captures === 1) {
              await home.boot();
              await guestWrite(home.vm, 'da', 0x33); // Before anybody looks when its image was written.
            }
            return ended;
          },
        }),
      });
      writeAll(home, 0x11);
      expect((await home.book.create()).end).toBe('undone: machine-busy');
      expect(home.tags()).toEqual(home.tagsOf());
    },
  );

  test('overlays of which one’s base was written while their names were kept for good are none at all', async () => {
    const { promise: death, resolve: die } = Promise.withResolvers<void>();
    const fault = (point: string): Promise<void> => {
      if (point !== 'hypervisor.after-act') return Promise.resolve();
      die();
      return new Promise(() => undefined);
    };
    const home = await described({ fault });
    const disks = home.disks.map(({ node }) => ({ device: node, mode: 'external' as const }));
    home.book.ask({ diskOnly: true, disks });
    void home.book.work().catch(() => undefined);
    await death;
    await home.hypervisor.close();

    const heirs = hastyWorld();
    let syncs = 0;
    const syncDirectory = async (path: string): Promise<void> => {
      await heirs.files.syncDirectory(path);
      if ((syncs += 1) === 1) imageWrite(home.fileOf('a'), 0x33);
    };
    home.succeed(home.anew({ ...heirs, files: { ...heirs.files, syncDirectory } }));
    expect((await home.finish()).end).toBe('undone: snapshot-damaged');
    expect(imageHolds(home.fileOf('a'), 0x33)).toBe(true);
  });

  test('disks are all loaded once more where the machine has run between the one and the other', async () => {
    let loads = 0;
    const home = await described({
      world: (real) => ({
        ...real,
        run: async (program, args, options) => {
          if (!args.includes('-a') || (loads += 1) !== 2) return real.run(program, args, options);
          await home.boot();
          const refused = await real.run(program, args, options);
          await home.vm.kill();
          home.forget();
          imageWrite(home.fileOf('a'), 0x33);
          return refused;
        },
      }),
    });
    writeAll(home, 0x11);
    const { snapshotId } = await home.book.create();
    writeAll(home, 0x22);
    expect((await home.book.load(snapshotId)).end).toBe('loaded');
    expect(allHold(home, 0x11)).toBe(true);
  });

  test('a disk is loaded once more where the machine has written it right behind', async () => {
    let loads = 0;
    const home = await described({
      world: (real) => ({
        ...real,
        run: async (program, args, options) => {
          if (args.includes('-a') && (loads += 1) === 2) imageWrite(home.fileOf('a'), 0x33);
          return real.run(program, args, options);
        },
      }),
    });
    writeAll(home, 0x11);
    const { snapshotId } = await home.book.create();
    writeAll(home, 0x22);
    home.book.askLoad(snapshotId);
    expect((await home.finish()).end).toBe('loaded');
    expect(allHold(home, 0x11)).toBe(true);
  });

  test('an image of somebody else’s directory is not opened', async () => {
    const home = await described();
    const disks = [{ device: 'x', file: makeDisk(join(makeDirectory(), 'x.qcow2')), format: 'qcow2' }];
    const asked = home.hypervisor.discover({ monitor: join(home.dir, 'x.sock'), disks });
    await expect(asked).rejects.toMatchObject({ code: 'path-not-allowed' });
  });

  test('an image of another format than is said is not opened', async () => {
    const home = await described({ letters: 'a', raw: 'a' });
    const disks = [{ device: 'x', file: home.fileOf('a'), format: 'qcow2' }];
    const asked = home.hypervisor.discover({ monitor: join(home.dir, 'x.sock'), disks });
    await expect(asked).rejects.toMatchObject({ code: 'disk-unsupported' });
  });

  test('a path full of commas is captured like any other', async () => {
    const home = new House({ letters: '' });
    const file = makeDisk(join(home.dir, 'a,file.locking=off,b=1.qcow2'));
    await home.book.register(join(home.dir, 'x.sock'), [{ device: 'x', file, format: 'qcow2' }]);
    const { snapshotId, end } = await home.book.create();
    expect(end).toBe('created');
    expect(snapshotTags(file)).toEqual([`sl-${snapshotId}`]);
  });

  test('an image that somebody uses, behind another monitor, is not off', async () => {
    const home = await described();
    await home.boot();
    const disks = [{ device: 'x', file: home.fileOf('a'), format: 'qcow2' }];
    const asked = home.hypervisor.discover({ monitor: join(home.dir, 'x.sock'), disks });
    await expect(asked).rejects.toMatchObject({ code: 'host-unreachable' });
  });

  test('a dirty bitmap in an image keeps a load from beginning', async () => {
    const home = await described();
    writeAll(home, 0x11);
    const { snapshotId } = await home.book.create();
    writeAll(home, 0x22);
    execFileSync('qemu-img', ['bitmap', '--add', '-f', 'qcow2', home.fileOf('b'), 'backup']);
    expect((await home.book.load(snapshotId)).end).toBe('undone: not-loadable');
    expect(allHold(home, 0x22)).toBe(true);
  });

  test('a tag of two snapshots, or another one’s id, is never loaded', async () => {
    const home = await described();
    const { snapshotId } = await home.book.create();
    execFileSync('qemu-img', ['snapshot', '-c', `sl-${snapshotId}`, home.fileOf('b')]);
    expect((await home.book.load(snapshotId)).end).toBe('undone: snapshot-damaged');
    expect((await home.book.delete(snapshotId)).end).toBe('deleted');
    expect(home.tags()).toEqual(home.tagsOf());
  });
});

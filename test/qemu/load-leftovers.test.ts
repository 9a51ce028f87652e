/* What a load makes, saves and leaves, when something of it is refused: is everything that stays on disk named? */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { v7 } from 'uuid';
import { tagOf } from '#ledger';
import { FileTrouble, type World } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { House, house } from './house.ts';
import { withLauncher } from './launcher.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu, snapshotTags } from './rig.ts';

afterAll(cleanUp);

/** Comes in between when armed: at a command of qemu-img, and at a point that the program passes. */
class Meddler {
  atTool: (args: readonly string[]) => void = () => undefined;
  atPoint: (name: string) => void | Promise<void> = () => undefined;
  /** Files that cannot be unlinked. */
  readonly kept = new Set<string>();
  isSyncing = true;

  readonly world = (real: World): World => ({
    ...real,
    fault: async (name) => this.atPoint(name),
    files: {
      ...real.files,
      unlink: async (file) => {
        if (this.kept.has(file)) throw new FileTrouble('EIO', file, 'it cannot be unlinked');
        return real.files.unlink(file);
      },
      syncDirectory: async (directory) => {
        if (!this.isSyncing) throw new FileTrouble('EIO', directory, 'it cannot be synced');
        return real.files.syncDirectory(directory);
      },
    },
    run: async (program, args, options) => {
      const finished = await real.run(program, args, options);
      this.atTool(args);
      return finished;
    },
  });
}

const EXTERNAL = {
  memory: 'none',
  disks: ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const })),
} as const;

const pinned = () => ({ pin: { snapshotId: v7(), what: 'memory' as const } });

/** Images in the machine's directory that the log does not name, and those that it believes in and are not there. */
function strays({ book, dir }: House): string[] {
  const { layers, snapshots, drift, hold } = book.vm;
  const memory = [...snapshots.values()].flatMap(({ memory: { file } }) => file ?? []);
  const believed = [...layers.keys(), ...memory];
  const named = [...drift, ...(hold?.leftovers ?? [])].map(({ file }) => file ?? '');
  const known = new Set([...believed, ...named]);
  const there = readdirSync(dir).filter((name) => name.endsWith('.qcow2'));
  return [
    ...there.map((name) => join(dir, name)).filter((file) => !known.has(file)),
    ...believed.filter((file) => !existsSync(file)),
  ];
}

describe.runIf(needsQemu())('a load', () => {
  test('gives a disk its image back that the ledger knows no node of, once that can be opened', async () => {
    const meddler = new Meddler();
    const home = new House({ letters: 'a', world: meddler.world });
    const [disk] = home.disks;
    if (!disk) throw new Error('no disk');
    const described = [{ device: 'dev-da', file: disk.file, format: disk.format }];
    await home.book.register(join(home.dir, 'qmp-0.sock'), described); // It is off, and so nobody tells of nodes.
    const { snapshotId } = await home.book.create();
    await home.boot();
    await writeAll(home, 0x22);
    const aside = `${disk.file}-aside`;
    let isAway = false;
    meddler.atTool = (args) => {
      if (isAway || !args.includes('-a')) return;
      renameSync(disk.file, aside);
      isAway = true;
    };
    meddler.atPoint = (name) => {
      if (isAway && name === 'hypervisor.before-look') {
        meddler.atPoint = () => undefined;
        renameSync(aside, disk.file);
      }
    };
    const { end, report } = await home.book.load(snapshotId, { disksOnly: true, resume: 'running' });
    expect(end, JSON.stringify(report)).toBe('loaded');
    expect(await contents(home)).toBe('other');
    const [block] = (await home.vm.monitor.execute('query-block')) as { inserted: { file: string } }[];
    expect(block?.inserted.file).toBe(disk.file);
  });

  test('whose worker died after it unlinked, and before it could tell, leaves the ledger no layer that is gone', async () => {
    const meddler = new Meddler();
    const home = await house({ world: meddler.world });
    const { snapshotId } = await home.book.create(EXTERNAL);
    let unlinked = 0;
    home.book.askLoad(snapshotId);
    const died = new Promise<void>((resolve) => {
      meddler.atPoint = (name) => {
        if (name !== 'hypervisor.after-unlink' || (unlinked += 1) < 2) return undefined;
        resolve();
        return new Promise(() => undefined);
      };
    });
    await Promise.race([died, home.finish()]);
    expect(unlinked).toBe(2);
    await home.hypervisor.close();
    home.succeed(home.anew());
    expect((await home.finish()).end).toBe('loaded');
    expect(strays(home)).toEqual([]);
  });

  test('that was done, and whose machine was then started from a frozen layer, tells of the layers that are gone', async () => {
    const meddler = new Meddler();
    const home = await house({ world: meddler.world });
    const { snapshotId } = await home.book.create(EXTERNAL);
    home.book.askLoad(snapshotId);
    const died = new Promise<void>((resolve) => {
      meddler.atPoint = (name) => {
        if (name !== 'hypervisor.after-unlink') return undefined;
        resolve();
        return new Promise(() => undefined);
      };
    });
    await Promise.race([died, home.finish()]);
    await home.hypervisor.close();
    await home.vm.kill();
    await home.boot();
    home.succeed(home.anew());
    expect((await home.finish()).end).toBe('held: vm-held');
    expect(strays(home)).toEqual([]);
  });

  test('whose QEMU does not end, and that has saved the present, leaves no file of its own', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create({
      ...EXTERNAL,
      memory: 'external',
      memoryFormat: 'stream',
    });
    const { commands } = await withLauncher(home);
    writeFileSync(commands.stop[1] ?? '', 'process.exit(3)');
    const { end } = await home.book.load(snapshotId, { pin: { snapshotId: v7(), what: 'disks' } });
    expect(end).toBe('held: needs-power-off');
    const named = [...home.book.vm.snapshots.values()].flatMap(({ memory: { file } }) => file ?? []);
    expect(named.every((file) => existsSync(file))).toBe(true);
    expect(strays(home)).toEqual([]);
  });

  test('of memory that is buried in a disk copies no snapshot but its own, and keeps none in the copy', async () => {
    const meddler = new Meddler();
    const home = await house({ letters: 'a', world: meddler.world });
    const { snapshotId } = await home.book.create();
    for (let n = 0; n < 2; n += 1) expect((await home.book.create({ diskOnly: true })).end).toBe('created');
    const disks = EXTERNAL.disks.slice(0, 1);
    expect((await home.book.create({ memory: 'none', disks })).end).toBe('created');
    home.book.askLoad(snapshotId);
    const before = new Set(readdirSync(home.dir));
    let copied: string[] = [];
    meddler.atPoint = (name) => {
      const made = readdirSync(home.dir).filter((file) => file.endsWith('.qcow2') && !before.has(file));
      if (name === 'hypervisor.before-act')
        copied = made.flatMap((file) => snapshotTags(join(home.dir, file)));
    };
    expect((await home.finish()).end).toBe('loaded');
    expect(copied).toEqual([tagOf(snapshotId)]);
    expect(home.book.vm.disks.flatMap(({ file }) => snapshotTags(file))).toEqual([]);
  });

  test('that unlinked a layer, and was told that this may not last, tells that it is gone once it is for good', async () => {
    const meddler = new Meddler();
    const home = await house({ world: meddler.world });
    const { snapshotId } = await home.book.create(EXTERNAL);
    meddler.atPoint = (name) => {
      if (name === 'hypervisor.before-unlink') meddler.isSyncing = false;
    };
    home.book.askLoad(snapshotId);
    const obstacles: string[] = [];
    const { end } = await home.finish(async ({ message }) => {
      obstacles.push(message);
      meddler.atPoint = () => undefined;
      meddler.isSyncing = obstacles.length === 3;
    });
    expect(end).toBe('loaded');
    expect(obstacles).toEqual(Array<string>(3).fill(obstacles[0] ?? ''));
    expect(obstacles[0]).toMatch(/^nobody knows whether .* stays unlinked$/);
    expect(strays(home)).toEqual([]);
  });

  test.each(['the memory of an earlier present', 'a layer', 'both'])(
    'that cannot unlink %s names what stays',
    async (what) => {
      const meddler = new Meddler();
      const home = await house({ world: meddler.world });
      const { snapshotId } = await home.book.create(EXTERNAL);
      expect((await home.book.load(snapshotId, pinned())).end).toBe('loaded');
      const earlier = [...home.book.vm.snapshots.values()].at(-1);
      const memory = earlier?.memory.file ?? '';
      const [layer = ''] = earlier?.disks.map(({ file }) => file ?? '') ?? [];
      if (what !== 'a layer') meddler.kept.add(memory);
      if (what !== 'the memory of an earlier present') meddler.kept.add(layer);
      expect((await home.book.load(snapshotId, pinned())).end).toBe('loaded');
      expect(home.book.vm.snapshots.has(earlier?.id ?? '')).toBe(false);
      expect(existsSync(memory)).toBe(what !== 'a layer');
      expect(existsSync(layer)).toBe(what !== 'the memory of an earlier present');
      expect(strays(home)).toEqual([]);
      const { findings } = await home.hypervisor.survey(home.book.seen());
      expect(findings).toEqual(home.book.vm.drift);
    },
  );
});

/* What a load makes, saves and leaves, when something of it is refused: is everything that stays on disk named? */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

/** Comes in between when armed: at a command of qemu-img, and at a point that the program passes. */
class Meddler {
  atTool: (args: readonly string[]) => void = () => undefined;
  atPoint: (name: string) => void = () => undefined;

  readonly world = (real: World): World => ({
    ...real,
    fault: async (name) => this.atPoint(name),
    run: async (program, args, options) => {
      const finished = await real.run(program, args, options);
      this.atTool(args);
      return finished;
    },
  });
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
});

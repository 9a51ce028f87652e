/* Are what gone snapshots and loads have left removed from real disks, and is nothing removed that somebody needs? */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { orphansIn, tagOf } from '#ledger';
import { afterAll, describe, expect, test } from 'vitest';
import { holdOpen } from './holder.ts';
import { house, type House } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

const qemuImg = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

async function look({ hypervisor, book }: House): Promise<string[]> {
  const seen = await hypervisor.survey(book.seen());
  book.handle({ type: 'ReportDrift', ...seen });
  return seen.findings.map(({ kind }) => kind);
}

/** Removes the orphans of the last look as the worker does, and says what is left. */
async function repair({ hypervisor, book }: House): Promise<string[]> {
  const orphans = orphansIn(book.vm);
  book.handle({ type: 'StartRepair', worker: 'w1', orphans });
  return (await hypervisor.removeOrphans(book.seen(), orphans)).map(({ why }) => why);
}

/** A machine with a snapshot that lives, and one that is gone and is on disk b again; it is off. */
async function haunted() {
  const home = await house();
  await guestWrite(home.vm, 'db', 5);
  const { snapshotId: kept } = await home.book.create();
  const { snapshotId: gone } = await home.book.create();
  await home.book.delete(gone);
  await home.off();
  qemuImg('snapshot', '-c', tagOf(gone), home.fileOf('b'));
  const file = join(home.dir, `${tagOf(gone)}-1.qcow2`);
  return { home, kept, gone, file };
}

describe.runIf(needsQemu())('orphans', () => {
  test.each(['on', 'off'])(
    'go from a machine that is %s, be they tags or files, and nothing else does',
    async (power) => {
      const { home, kept, file } = await haunted();
      writeFileSync(file, '');
      if (power === 'on') await home.boot({ disks: home.withoutFaults() });
      expect(await look(home)).toEqual(['orphan', 'orphan']);
      expect(await repair(home)).toEqual([]);
      expect(existsSync(file)).toBe(false);
      expect(home.tags()).toEqual(home.tagsOf(kept));
      expect(await look(home)).toEqual([]);
      if (power === 'off') await home.boot({ disks: home.withoutFaults() });
      expect(await guestReadPattern(home.vm, 'db', 5)).toBe(true);
      await home.off();
      expect(home.health()).toEqual([0, 0]);
    },
  );

  test('stay while a layer of the machine stands on them, or somebody has them open', async () => {
    const { home, gone, file } = await haunted();
    const open = join(home.dir, `${tagOf(gone)}-2.qcow2`);
    qemuImg('create', '-q', '-f', 'qcow2', open, '1M');
    qemuImg('create', '-q', '-f', 'qcow2', file, '8M');
    qemuImg('rebase', '-u', '-f', 'qcow2', '-b', file, '-F', 'qcow2', home.fileOf('a'));
    const holder = await holdOpen(open, 'to write');
    await look(home);
    const why = await repair(home);
    expect(why).toEqual([`${home.fileOf('a')} needs it`, expect.stringContaining('has')]);
    expect([existsSync(file), existsSync(open)]).toEqual([true, true]);
    await holder.end();
  });

  test('that no look has found are not removed', async () => {
    const { home, file } = await haunted();
    await look(home);
    const orphans = [{ file }];
    expect(() => home.book.handle({ type: 'StartRepair', worker: 'w1', orphans })).toThrow('the last look');
  });

  test('of a machine on a wrong chain stay where they are', async () => {
    const home = await house();
    const devices = ['dev-da', 'dev-db'];
    const { snapshotId } = await home.book.create({
      disks: devices.map((device) => ({ device, mode: 'external' as const })),
    });
    await home.off();
    const before = home.book.seen();
    await home.boot({ extraArgs: ['-S'] });
    const orphan = { file: home.fileOf('a'), device: 'dev-da', tag: tagOf(snapshotId) };
    await expect(home.hypervisor.removeOrphans(before, [orphan])).rejects.toMatchObject({ code: 'vm-held' });
  });
});

/* Between the look at a name and the making of its file: is what somebody else makes there left alone? */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { tagOf } from '#ledger';
import { finish, successor } from './haste.ts';
import { house, imageHolds, imageWrite } from './house.ts';
import { holdOpen } from './holder.ts';
import { cleanUp, makeDisk, needsQemu } from './rig.ts';

afterAll(cleanUp);

const external = ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const }));
const backupInto = (target: string) => ({
  ...{ device: 'dev-da', target, format: 'qcow2' },
  ...{ sync: 'full' as const, fileMode: 'absolute-paths' as const },
});

/** A machine of which a create has just begun when `strike` is called. */
async function begun(strike: () => Promise<void>) {
  return house({
    fault: async (point) => {
      if (point === 'hypervisor.after-begin') await strike();
    },
  });
}

describe.runIf(needsQemu())('a file that somebody makes where a create is about to make one', () => {
  test.each(['copy', 'overlay', 'state file', 'stream'])(
    'is neither wiped nor unlinked: a %s',
    async (kind) => {
      const home = await begun(async () => {
        makeDisk(theirs);
        imageWrite(theirs, 0x55);
      });
      const theirs = join(home.dir, 'theirs.qcow2');
      const wishes: Record<string, Parameters<typeof home.book.create>[0]> = {
        copy: { diskOnly: true, disks: external, backups: [backupInto(theirs)] },
        overlay: {
          diskOnly: true,
          disks: external.map((disk, at) => (at === 1 ? { ...disk, file: theirs } : disk)),
        },
        'state file': { memory: 'external', memoryFile: theirs, disks: external },
        stream: { memory: 'external', memoryFormat: 'stream', memoryFile: theirs, disks: external },
      };
      const { end } = await home.book.create(wishes[kind]);
      expect(end).toBe('undone: path-not-allowed');
      expect(imageHolds(theirs, 0x55)).toBe(true);
      expect(home.book.vm.layers.size).toBe(2);
      expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status: 'running' });
    },
  );

  test('is left alone while its owner has it open', async () => {
    const home = await begun(async () => {
      makeDisk(theirs);
      imageWrite(theirs, 0x55);
      owner = await holdOpen(theirs, 'to write');
    });
    let owner: { end(): Promise<void> } | null = null;
    const theirs = join(home.dir, 'theirs.qcow2');
    const { end } = await home.book.create({ diskOnly: true, backups: [backupInto(theirs)] });
    await (owner as { end(): Promise<void> } | null)?.end();
    expect(end).toBe('undone: path-not-allowed');
    expect(imageHolds(theirs, 0x55)).toBe(true);
  });
});

describe.runIf(needsQemu())('an overlay that a caller has made', () => {
  test('is not what a machine that is off stands on when its capture has failed', async () => {
    const home = await house();
    await home.off();
    const mine = join(home.dir, 'mine.qcow2');
    const below = ['-b', home.fileOf('a'), '-F', 'qcow2'];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...below, mine]);
    const target = join(home.dir, 'copy.qcow2');
    const { book } = await successor(home, async (point) => {
      if (point === 'hypervisor.before-copy') rmSync(join(home.dir, `sl-${id}-501.part`));
    });
    const disks = [
      { device: 'dev-da', mode: 'external' as const, file: mine, fileMode: 'existing' as const },
      { device: 'dev-db', mode: 'internal' as const },
    ];
    const id = book.ask({ disks, backups: [backupInto(target)] });
    expect((await finish(book)).end).toBe('undone: refused-by-qemu');
    expect(book.vm.disks.map(({ file }) => file)).toEqual(home.disks.map(({ file }) => file));
    expect(existsSync(mine)).toBe(true);
  });
});

describe.runIf(needsQemu()).each(['on', 'off'])(
  'an overlay of format qed, of a machine that is %s,',
  (power) => {
    async function overlay(belowFormat: string) {
      const home = await house({ letters: 'a', ...(belowFormat === 'raw' && { raw: 'a' }) });
      if (power === 'off') await home.off();
      const file = join(home.dir, 'mine.qed');
      const below = ['-b', home.fileOf('a'), '-F', belowFormat];
      execFileSync('qemu-img', ['create', '-q', '-f', 'qed', ...below, file]);
      const disks = [
        { device: 'dev-da', mode: 'external' as const, format: 'qed', file, fileMode: 'existing' as const },
      ];
      return { home, file, wish: { disks, ...(power === 'on' && { diskOnly: true }) } };
    }

    test.each(['qcow2', 'raw'])('may stand on %s, though its header does not name that', async (format) => {
      const { home, file, wish } = await overlay(format);
      expect((await home.book.create(wish)).end).toBe('created');
      expect(home.book.vm.disks[0]).toMatchObject({ file, format: 'qed' });
    });

    test('whose header leaves the format below to be guessed does not stand on raw bytes', async () => {
      const { home, file, wish } = await overlay('raw');
      const guessing = ['rebase', '-u', '-f', 'qed', '-b', home.fileOf('a'), '-F', 'qcow2', file];
      execFileSync('qemu-img', guessing);
      expect((await home.book.create(wish)).end).toBe('undone: path-not-allowed');
    });
  },
);

describe.runIf(needsQemu())('a worker that dies', () => {
  test.each(['on', 'off'])(
    'before its overlays are images leaves nothing: the machine is %s',
    async (power) => {
      const home = await house();
      if (power === 'off') await home.off();
      const { promise: death, resolve: die } = Promise.withResolvers<void>();
      const first = await successor(home, (point) => {
        if (point !== 'hypervisor.before-image') return Promise.resolve();
        die();
        return new Promise(() => undefined);
      });
      first.book.ask({ diskOnly: true, disks: external });
      void first.book.work();
      await death;
      await first.hypervisor.close();
      const heir = await successor(home);
      const book = first.book.heir(heir.hypervisor);
      expect((await finish(book)).end).toBe('undone: host-unreachable');
      expect(book.vm.layers.size).toBe(2);
      for (const { backing } of book.vm.layers.values()) expect(backing).toBeNull();
    },
  );

  test('with an overlay that is only half an image has not captured a machine that is off', async () => {
    const home = await house();
    await home.off();
    const id = v7();
    const file = join(home.dir, `${tagOf(id)}-2.qcow2`);
    const { promise: death, resolve: die } = Promise.withResolvers<void>();
    let images = 0;
    const first = await successor(home, (point) => {
      if (point === 'hypervisor.after-image') images += 1;
      if (images < external.length || !existsSync(file)) return Promise.resolve();
      truncateSync(file, 50);
      die();
      return new Promise(() => undefined);
    });
    first.book.ask({ snapshotId: id, disks: external });
    void first.book.work();
    await death;
    await first.hypervisor.close();
    const heir = await successor(home);
    const book = first.book.heir(heir.hypervisor);
    expect((await finish(book)).end).toBe('held: host-unreachable');
    expect(book.vm.disks.map((disk) => disk.file)).toEqual(home.disks.map((disk) => disk.file));
    expect(existsSync(file)).toBe(true);
  });
});

/* QEMU dies inside a create, and its owner starts the machine from what the ledger still names. Whose data is whose? */
import { existsSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { backup } from './backups.ts';
import { house, type House } from './house.ts';
import { imageContents } from './patterns.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

const EXTERNAL = {
  memory: 'none',
  disks: ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const })),
} as const;

type Wish = Parameters<House['book']['ask']>[0];

/** A create whose worker dies once QEMU has the overlays under the disks, or qemu-img has made all of it. */
async function capturedByTheDead(
  wishOf: (home: House) => Wish = () => EXTERNAL,
  isOff = false,
): Promise<House> {
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  const home = await house({
    fault: async (name) => {
      if (name !== 'hypervisor.after-act') return undefined;
      die();
      return new Promise(() => undefined);
    },
  });
  for (const letter of 'ab') await guestWrite(home.vm, `d${letter}`, 0x11);
  if (isOff) await home.off();
  home.book.ask(wishOf(home));
  void home.book.work();
  await death;
  await home.hypervisor.close();
  return home;
}

/** Its owner starts the machine from what the ledger names; it writes, and dies again. */
async function runFromBelow(home: House, node: string): Promise<void> {
  if (home.isOn) await home.vm.kill();
  await home.boot();
  await guestWrite(home.vm, node, 0x33);
  await home.vm.kill();
  home.forget();
  home.succeed(home.anew());
}

const AN_HOUR_S = 3_600;

describe.runIf(needsQemu())('a capture that its worker did not live to see', () => {
  test('counts when QEMU has died since with data in an overlay', async () => {
    const home = await capturedByTheDead();
    await guestWrite(home.vm, 'da', 0x22);
    await home.vm.kill();
    home.forget();
    home.succeed(home.anew());
    expect((await home.finish()).end).toBe('created');
    expect(imageContents(home.book.vm.disks)).toBe('22 11');
  });

  test.each(['da', 'db'])(
    'does not count when the machine has run without the overlays since, and has written on %s',
    async (node) => {
      const home = await capturedByTheDead();
      const overlay = home.book.vm.operation?.started?.overlays?.[0]?.file ?? '';
      await guestWrite(home.vm, 'da', 0x22);
      await runFromBelow(home, node);
      expect((await home.finish()).end).toBe('held: snapshot-damaged');
      expect(home.book.vm.snapshots.size).toBe(0);
      expect(imageContents(home.book.vm.disks)).toBe(node === 'da' ? '33 11' : '11 33');
      expect(home.book.vm.hold?.leftovers.map(({ file }) => file)).toEqual([overlay]);
      expect(existsSync(overlay)).toBe(true);
      expect(imageContents([{ file: overlay, format: 'qcow2' }])).toBe('22');
    },
  );

  test('does not count either when the clock was put back before that', async () => {
    const home = await capturedByTheDead();
    await guestWrite(home.vm, 'da', 0x22);
    await runFromBelow(home, 'db');
    const { mtimeMs } = statSync(home.fileOf('b'));
    utimesSync(home.fileOf('b'), mtimeMs / 1_000 - AN_HOUR_S, mtimeMs / 1_000 - AN_HOUR_S);
    expect((await home.finish()).end).toBe('held: snapshot-damaged');
    expect(imageContents(home.book.vm.disks)).toBe('11 33');
  });

  test('counts when only the overlay was written by a clock that was put back', async () => {
    const home = await capturedByTheDead();
    const overlay = home.book.vm.operation?.started?.overlays?.[0]?.file ?? '';
    await guestWrite(home.vm, 'da', 0x22);
    await home.vm.kill();
    home.forget();
    home.succeed(home.anew());
    const { mtimeMs } = statSync(overlay);
    utimesSync(overlay, mtimeMs / 1_000 - AN_HOUR_S, mtimeMs / 1_000 - AN_HOUR_S);
    expect((await home.finish()).end).toBe('created');
    expect(imageContents(home.book.vm.disks)).toBe('22 11');
  });

  test('does not count when the machine was off and has run since: its disks would be of different instants', async () => {
    const disks = [
      { device: 'dev-da', mode: 'internal' as const },
      { device: 'dev-db', mode: 'external' as const },
    ];
    const home = await capturedByTheDead(() => ({ memory: 'none', disks }), true);
    await runFromBelow(home, 'db');
    expect((await home.finish()).end).toBe('undone: snapshot-damaged');
    expect(imageContents(home.book.vm.disks)).toBe('11 33');
    expect(home.tags()).toEqual(home.tagsOf());
  });

  test('does not go down over what the machine has written since, when its copies are lost', async () => {
    const home = await capturedByTheDead(({ dir }) => ({
      ...EXTERNAL,
      backups: [backup('dev-db', join(dir, 'copy.qcow2'))],
    }));
    await guestWrite(home.vm, 'da', 0x22);
    await runFromBelow(home, 'da');
    expect((await home.finish()).end).toBe('held: snapshot-damaged');
    expect(imageContents(home.book.vm.disks)).toBe('33 11');
  });
});

/* QEMU dies inside a create, and its owner starts the machine from what the ledger still names. Whose data is whose? */
import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { imageContents } from './patterns.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

const EXTERNAL = {
  memory: 'none',
  disks: ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const })),
} as const;

/** A create whose worker dies once QEMU has the overlays under the disks. */
async function capturedByTheDead(): Promise<House> {
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  const home = await house({
    fault: async (name) => {
      if (name !== 'hypervisor.after-act') return undefined;
      die();
      return new Promise(() => undefined);
    },
  });
  for (const letter of 'ab') await guestWrite(home.vm, `d${letter}`, 0x11);
  home.book.ask(EXTERNAL);
  void home.book.work();
  await death;
  await home.hypervisor.close();
  return home;
}

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
      await home.vm.kill();
      await home.boot();
      await guestWrite(home.vm, node, 0x33);
      await home.vm.kill();
      home.forget();
      home.succeed(home.anew());
      expect((await home.finish()).end).toBe('held: snapshot-damaged');
      expect(home.book.vm.snapshots.size).toBe(0);
      expect(imageContents(home.book.vm.disks)).toBe(node === 'da' ? '33 11' : '11 33');
      expect(home.book.vm.hold?.leftovers.map(({ file }) => file)).toEqual([overlay]);
      expect(existsSync(overlay)).toBe(true);
      expect(imageContents([{ file: overlay, format: 'qcow2' }])).toBe('22');
    },
  );
});

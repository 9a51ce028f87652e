/* Workers die while they take an external create back. Does the machine ever run beside a stale copy of its disk? */
import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { hastyWorld } from './haste.ts';
import { type House, house } from './house.ts';
import { imageContents } from './patterns.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

const BOTH = ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const }));

/** Dies at a fault point, once `isDue`, and tells when. */
function mortal(at: string, isDue: () => boolean) {
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  const fault = (point: string): Promise<void> => {
    if (point !== `hypervisor.${at}` || !isDue()) return Promise.resolve();
    die();
    return new Promise(() => undefined);
  };
  return { fault, death };
}

async function worksUntil(home: House, death: Promise<void>): Promise<void> {
  void home.book.work().catch(() => undefined);
  await death;
  await home.hypervisor.close();
}

/** A machine whose external create died in its middle; its disks hold 11 and 22. Where its first overlay is. */
async function half(): Promise<{ home: House; overlay: string }> {
  let isStopped = false;
  const captured = mortal('after-look', () => isStopped); // The disks are captured, and no memory is saved.
  const home = await house({
    fault: (point) => {
      if (point === 'hypervisor.after-power') isStopped = true;
      return captured.fault(point);
    },
  });
  await guestWrite(home.vm, 'da', 0x11);
  await guestWrite(home.vm, 'db', 0x22);
  home.book.ask({ memory: 'internal', disks: BOTH });
  await worksUntil(home, captured.death);
  const [first] = home.book.vm.operation?.started?.overlays ?? [];
  if (!first) throw new Error('no overlay was planned');
  return { home, overlay: first.file };
}

const signBeside = (overlay: string): string => overlay.replace(/-\d+\.qcow2$/, '-going-down');

/** The next takes its first overlay back, and dies when QEMU has left that. */
async function pushFirst(home: House): Promise<void> {
  const pushed = mortal('before-unlink', () => true);
  home.succeed(home.anew(hastyWorld(pushed.fault)));
  await worksUntil(home, pushed.death);
}

describe.runIf(needsQemu())('a create that is taken back', () => {
  test('leaves no overlay behind that the machine has left, once it runs', async () => {
    const { home, overlay } = await half();
    await pushFirst(home);
    expect(existsSync(overlay)).toBe(true);

    const wasThere: boolean[] = [];
    const fault = async (point: string): Promise<void> => {
      if (point === 'hypervisor.before-power') wasThere.push(existsSync(overlay));
    };
    home.succeed(home.anew(hastyWorld(fault)));
    expect((await home.finish()).end).toMatch(/^undone/);
    expect(wasThere).not.toHaveLength(0);
    expect(wasThere).not.toContain(true);
    await home.off();
    expect(imageContents(home.book.vm.disks)).toBe('11 22');
  });

  test('goes over nothing that the machine has written below, started and dead again before anybody looked', async () => {
    const { home, overlay } = await half();
    await guestWrite(home.vm, 'da', 0x33);
    await pushFirst(home);
    await home.vm.kill();
    await home.boot();
    await guestWrite(home.vm, 'da', 0x44);
    await home.vm.kill();
    home.succeed(home.anew());
    const { end, report } = await home.finish();
    expect(end).toBe('held: snapshot-damaged');
    expect(JSON.stringify(report)).toContain(
      'the machine was started after what is in its overlays had begun',
    );
    expect(existsSync(overlay)).toBe(true);
    expect(imageContents(home.book.vm.disks)).toBe('44 22');
  });

  test.each([
    { disk: 'da', pushed: 1, end: 'is killed', left: '44 22' },
    { disk: 'da', pushed: 1, end: 'ends in good order', left: '44 22' },
    { disk: 'db', pushed: 2, end: 'is killed', left: '33 44' },
    { disk: 'db', pushed: 2, end: 'ends in good order', left: '33 44' },
  ])('goes not over $disk, written by a machine that $end right before', async (story) => {
    const { disk, pushed, end, left } = story;
    const { home, overlay } = await half();
    await guestWrite(home.vm, 'da', 0x33);
    await guestWrite(home.vm, 'db', 0x11);
    await home.vm.kill();
    home.forget();
    let count = 0;
    const fault = async (point: string): Promise<void> => {
      if (point !== 'hypervisor.before-image' || !existsSync(signBeside(overlay))) return;
      count += 1;
      if (count !== pushed) return;
      await home.boot();
      await guestWrite(home.vm, disk, 0x44);
      await (end === 'is killed' ? home.vm.kill() : home.vm.stop());
      home.forget();
    };
    home.succeed(home.anew(hastyWorld(fault)));
    const outcome = await home.finish();
    expect(imageContents(home.disks)).toBe(left);
    expect(outcome.end).toBe('held: snapshot-damaged');
  });
});

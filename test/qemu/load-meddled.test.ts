/* Whoever lets the machine run while it is loaded, and whoever dies once it is: what does the guest have then? */
import { join } from 'node:path';
import { openHypervisor } from '#hypervisor';
import { realWorld } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const bothExternal = [external('dev-da'), external('dev-db')];

const KINDS: { name: string; wish: Wish }[] = [
  { name: 'memory and disks', wish: {} },
  { name: 'external disks', wish: { memory: 'none', disks: bothExternal } },
  { name: 'disks without memory', wish: { diskOnly: true } },
  { name: 'memory beside external disks', wish: { memory: 'external', disks: bothExternal } },
  { name: 'memory beside one disk of each kind', wish: { disks: [internal('dev-da'), external('dev-db')] } },
];

/** Does something once, when a load has come to the point before an act of this number. */
class Meddler {
  #count = 0;
  #at = 0;
  #work: () => Promise<void> = () => Promise.resolve();

  readonly fault = async (name: string): Promise<void> => {
    if (name !== 'hypervisor.before-act') return;
    this.#count += 1;
    if (this.#count === this.#at) await this.#work();
  };

  arm(at: number, work: () => Promise<void>): void {
    this.#count = 0;
    this.#at = at;
    this.#work = work;
  }
}

async function captured(home: House, wish: Wish): Promise<string> {
  await writeAll(home, 0x11);
  const { snapshotId, end, report } = await home.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  await writeAll(home, 0x22);
  return snapshotId;
}

async function succeed(home: House): Promise<void> {
  await home.hypervisor.close();
  home.succeed(
    openHypervisor({
      world: realWorld(),
      monitorRoots: [home.dir],
      imageRoots: [home.dir],
      worker: 'w2',
      transcriptsDir: join(home.dir, 'transcripts'),
    }),
  );
}

/** The machine's owner lets it run, and the guest writes into what it finds on the first disk. */
async function letRunAndWrite(home: House): Promise<void> {
  await home.vm.monitor.execute('cont');
  await guestWrite(home.vm, 'da', 0x33);
}

const ACTS_MAX = 8;

describe.runIf(needsQemu())('a load', () => {
  test.each(KINDS)(
    'of $name brings back all of it, also when the owner lets the machine run in its middle',
    { timeout: 120_000 },
    async ({ wish }) => {
      const meddler = new Meddler();
      const home = await house({ fault: meddler.fault });
      const snapshotId = await captured(home, wish);
      for (let at = 1; at <= ACTS_MAX; at += 1) {
        for (const isStoppedAgain of [false, true]) {
          await writeAll(home, 0x22);
          meddler.arm(at, async () => {
            await letRunAndWrite(home);
            if (isStoppedAgain) await home.vm.monitor.execute('stop');
          });
          const { end, report } = await home.book.load(snapshotId);
          expect(end, JSON.stringify(report)).toBe('loaded');
          expect(await contents(home), `before act ${at}`).toBe('11 11');
        }
      }
    },
  );

  test.each(KINDS)(
    'of $name is not taken for done because its machine runs when the next worker comes',
    { timeout: 120_000 },
    async ({ wish }) => {
      const meddler = new Meddler();
      const home = await house({ fault: meddler.fault });
      const snapshotId = await captured(home, wish);
      for (let at = 1; at <= ACTS_MAX; at += 1) {
        await writeAll(home, 0x22);
        home.book.askLoad(snapshotId);
        const died = new Promise<void>((resolve) => {
          meddler.arm(at, () => {
            resolve();
            return new Promise(() => undefined);
          });
        });
        const ended = await Promise.race([died.then(() => false), home.finish().then(() => true)]);
        if (ended) break;
        await home.hypervisor.close();
        await letRunAndWrite(home).catch(() => undefined); // On a placeholder it cannot write.
        await succeed(home);
        expect((await home.finish()).end, `at ${at}`).toBe('loaded');
        expect(await contents(home), `at ${at}`).toBe('11 11');
      }
    },
  );

  test.each(KINDS)(
    'of $name is never done again once the guest may have written, though nobody has reported it',
    { timeout: 120_000 },
    async ({ wish }) => {
      const home = await house();
      const snapshotId = await captured(home, wish);
      home.book.askLoad(snapshotId);
      const vm = home.book.seen();
      if (!vm.operation) throw new Error('no load is open');
      await home.hypervisor.carryOut(vm, vm.operation, home.book.journal()); // The report is lost.
      await guestWrite(home.vm, 'da', 0x44);
      await succeed(home);
      const { end, report } = await home.finish();
      expect(end, JSON.stringify(report)).toBe('loaded');
      expect(report).toMatchObject({ loaded: { runs: true } });
      expect(await contents(home)).toBe('44 11');
      expect(home.book.vm.current).toEqual({ id: snapshotId, confidence: 'known' });
      expect((await home.book.load(snapshotId)).end).toBe('loaded');
      expect(await contents(home)).toBe('11 11');
    },
  );
});

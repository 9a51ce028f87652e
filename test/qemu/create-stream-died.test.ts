/* Whoever dies while memory is saved as a stream, worker or QEMU, wherever: is it whole or gone, and does the guest run? */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openHypervisor } from '#hypervisor';
import { realWorld, type Receiving, type World } from '#world';
import { house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

const WISH: Parameters<House['book']['ask']>[0] = {
  ...{ memory: 'external', memoryFormat: 'stream' },
  disks: [
    { device: 'dev-da', mode: 'internal' },
    { device: 'dev-db', mode: 'external' },
  ],
};

/** A process that dies at its n-th fault point: its promises never settle, and the kernel closes its sockets. */
class Mortal {
  passed = 0;
  #left = Number.POSITIVE_INFINITY;
  #died: () => void = () => undefined;
  readonly #receiving: Receiving[] = [];

  readonly fault = (): Promise<void> => {
    this.passed += 1;
    this.#left -= 1;
    if (this.#left > 0) return Promise.resolve();
    for (const one of this.#receiving) one.close();
    this.#died();
    return new Promise(() => undefined);
  };

  readonly world = (real: World): World => ({
    ...real,
    streams: {
      ...real.streams,
      receive: async (...asked) => {
        const receiving = await real.streams.receive(...asked);
        this.#receiving.push(receiving);
        return receiving;
      },
    },
  });

  /** Resolves when it is dead. */
  dieAt(count: number): Promise<void> {
    this.#left = count;
    return new Promise((resolve) => (this.#died = resolve));
  }
}

const heirOf = (home: House): void =>
  home.succeed(
    openHypervisor({
      ...{ world: realWorld(), monitorRoots: [home.dir], imageRoots: [home.dir], worker: 'w2' },
      ...{ transcriptsDir: join(home.dir, 'transcripts'), socketsDir: join(home.dir, 'sockets') },
    }),
  );

async function prepared(): Promise<{ home: House; mortal: Mortal }> {
  const mortal = new Mortal();
  const home = await house({ fault: mortal.fault, world: mortal.world });
  await writeAll(home, 0x11);
  home.book.ask(WISH);
  mortal.passed = 0;
  return { home, mortal };
}

const runs = async ({ vm }: House): Promise<boolean> =>
  ((await vm.monitor.execute('query-status')) as { running: boolean }).running;

/** All of it or nothing of it is there, and nothing else. */
async function expectAllOrNothing(home: House, end: string): Promise<void> {
  const files = readdirSync(home.dir).filter((name) => name.startsWith('sl-'));
  const [snapshot] = [...home.book.vm.snapshots.values()];
  expect(existsSync(join(home.dir, 'sockets')) ? readdirSync(join(home.dir, 'sockets')) : []).toEqual([]);
  expect(files.filter((name) => name.includes('memory'))).toEqual(
    snapshot ? [`sl-${snapshot.id}-memory`] : [],
  );
  expect(home.tags().slice(0, 1)).toEqual(snapshot ? [`sl-${snapshot.id}`] : ['']);
  expect(home.book.vm.hold).toBeNull();
  expect(end === 'created').toBe(snapshot !== undefined);
  expect(await contents(home)).toBe('11 11');
}

describe.runIf(needsQemu())('memory as a stream', () => {
  test('is whole or gone, and the guest runs, wherever the worker dies', async () => {
    const first = await prepared();
    expect((await first.home.finish()).end).toBe('created');
    expect(first.mortal.passed).toBeGreaterThan(10);
    await first.home.off();
    const ends = new Set<string>();
    for (let at = 1; at <= first.mortal.passed; at += 1) {
      const { home, mortal } = await prepared();
      const dead = mortal.dieAt(at);
      await Promise.race([dead, home.book.work()]); // Which may pass fewer points this time.
      await home.hypervisor.close(); // As the kernel does.
      heirOf(home);
      const { end } = home.book.vm.operation ? await home.finish() : { end: 'created' };
      ends.add(end);
      expect(await runs(home), `dead at ${at}`).toBe(true);
      await expectAllOrNothing(home, end);
      await home.vm.kill();
    }
    expect([...ends].toSorted()).toEqual(['created', 'undone: host-unreachable', 'undone: machine-gone']);
  }, 180_000);
});

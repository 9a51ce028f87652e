/* Whoever dies inside a load with a new QEMU, the worker or that QEMU, wherever: does the next worker bring it to its end? */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { v7 } from 'uuid';
import { realWorld, type World } from '#world';
import { settledWorld } from './haste.ts';
import { house, type House, imageHolds } from './house.ts';
import { type LaunchedHouse, withLauncher } from './launcher.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

const launchers: LaunchedHouse[] = [];
afterEach(() => {
  for (const { kill } of launchers.splice(0)) kill();
});
afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

interface Story {
  readonly wish: Wish;
  readonly power: 'on' | 'off';
}

const internal = { device: 'dev-da', mode: 'internal' } as const;
const external = { device: 'dev-db', mode: 'external' } as const;
const STREAM = { memory: 'external', memoryFormat: 'stream', disks: [internal, external] } as const;

const STORIES: Readonly<Record<string, Story>> = {
  'a stream into a machine that is on': { wish: STREAM, power: 'on' },
  'a stream into a machine that is off': { wish: STREAM, power: 'off' },
  'a state file into a machine that is off': {
    wish: { memory: 'external', disks: [internal, external] },
    power: 'off',
  },
};

/**
 * Does something at one fault point, and counts them all. Whoever waits for a QEMU looks again and again, how often is
 * chance: only the first of such looks counts.
 */
class Fate {
  passed = 0;
  at = Number.POSITIVE_INFINITY;
  strike: () => Promise<void> = async () => undefined;
  readonly #looks = new Set<string>();
  readonly fault = async (point: string): Promise<void> => {
    if (this.#looks.has(point)) return;
    if (point.endsWith('-look')) this.#looks.add(point);
    else this.#looks.clear();
    this.passed += 1;
    if (this.passed === this.at) await this.strike();
  };
}

interface Prepared {
  readonly home: House;
  readonly fate: Fate;
  readonly launcher: LaunchedHouse;
}

/** The disks hold 0x11 in the snapshot, and 0x22 by now; its load was asked for. */
async function prepared(
  { wish, power }: Story,
  worldWith: (fault: World['fault']) => World = realWorld,
): Promise<Prepared> {
  const home = await house();
  await writeAll(home, 0x11);
  const { snapshotId, end } = await home.book.create(wish);
  expect(end).toBe('created');
  await writeAll(home, 0x22);
  if (power === 'off') await home.off();
  const fate = new Fate();
  const launcher = await withLauncher(home, { world: worldWith(fate.fault) });
  launchers.push(launcher);
  home.book.askLoad(snapshotId, { pin: { snapshotId: v7(), what: 'disks' } });
  return { home, fate, launcher };
}

async function expectLoaded({ home, launcher }: Prepared, when: string): Promise<void> {
  // A worker that passed fewer points than were counted has outlived its load.
  const { end, report } = home.book.vm.operation ? await home.finish() : { end: 'loaded', report: null };
  expect(end, `${when}: ${JSON.stringify(report)}`).toBe('loaded');
  const vm = await launcher.machine();
  expect(await contents({ vm, disks: home.disks }), when).toBe('11 11');
  expect((await vm.monitor.execute('query-status')) as object, when).toMatchObject({ status: 'running' });
  vm.monitor.close();
  expect(home.book.vm.hold).toBeNull();
  expect(readdirSync(home.dir).includes('sockets') ? readdirSync(join(home.dir, 'sockets')) : []).toEqual([]);
}

async function lengthOf(story: Story): Promise<number> {
  const told = await prepared(story);
  await expectLoaded(told, 'nobody dies');
  told.launcher.kill();
  return told.fate.passed;
}

/** Every fault point would take minutes; so many, spread over all of them, are somebody's deathbed. */
const DEATHS = 6;
const deathbeds = (length: number): number[] => [
  ...new Set(Array.from({ length: DEATHS }, (_, n) => 1 + Math.floor((n * (length - 1)) / (DEATHS - 1)))),
];

describe.runIf(needsQemu())('a load with a new QEMU is finished', () => {
  test.each(Object.entries(STORIES))(
    'wherever the worker dies: %s',
    async (_, story) => {
      for (const at of deathbeds(await lengthOf(story))) {
        const told = await prepared(story);
        const { home, fate } = told;
        const dead = new Promise<void>((resolve) => {
          fate.strike = () => (resolve(), new Promise(() => undefined));
        });
        fate.at = at;
        await Promise.race([dead, home.book.work()]);
        launchers.push(await withLauncher(home, { keeps: true }));
        await expectLoaded(told, `the worker dies at ${at}`);
        told.launcher.kill();
      }
    },
    300_000,
  );

  test('wherever the new QEMU dies', async () => {
    const story: Story = { wish: STREAM, power: 'on' };
    for (const at of deathbeds(await lengthOf(story))) {
      const told = await prepared(story, settledWorld);
      told.fate.strike = async () => told.launcher.kill();
      told.fate.at = at;
      const { end, report } = await told.home.finish();
      if (end === 'undone: machine-gone') {
        for (const { file } of told.home.book.vm.disks) expect(imageHolds(file, 0x22)).toBe(true);
      } else expect(end, `QEMU dies at ${at}: ${JSON.stringify(report)}`).toBe('loaded');
      told.launcher.kill();
    }
  }, 300_000);
});

/* Whoever dies inside a delete of layers, worker or QEMU, wherever: is it finished, and is nothing lost? */
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { openHypervisor } from '#hypervisor';
import { realWorld, type World } from '#world';
import { join } from 'node:path';
import { contents, expectWhole, write } from './branches.ts';
import { settledWorld } from './haste.ts';
import { type House, house } from './house.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

const external = [{ device: 'dev-da', mode: 'external' as const }];
const internal = [{ device: 'dev-da', mode: 'internal' as const }];

/** What is asked of a machine whose disk has these snapshots, the lowest first. */
interface Story {
  readonly captures: readonly (typeof external | typeof internal)[];
  /** Whether it is started anew before: QEMU then opens by itself what lies below. */
  readonly isRestarted?: boolean;
  readonly ask: (home: House, ids: readonly string[]) => void;
}

const STORIES: Readonly<Record<string, Story>> = {
  'a pull': { captures: [external, external], ask: (home, [, second = '']) => home.book.askDelete(second) },
  'a push in the middle': {
    captures: [external, external],
    ask: (home, [first = '']) => home.book.askDelete(first),
  },
  'a push of what the machine writes on': {
    captures: [external, external],
    ask: (home) => home.book.handle({ type: 'DeleteAllSnapshots', operationId: v7() }),
  },
  'a push of what the machine was started from': {
    captures: [external],
    isRestarted: true,
    ask: (home, [first = '']) => home.book.askDelete(first),
  },
  'the removal of a buried tag': {
    captures: [internal, external],
    ask: (home, [first = '']) => home.book.askDelete(first),
  },
};

/** Counts the fault points that are passed, and does something at one of them. */
class Fate {
  passed = 0;
  at = Number.POSITIVE_INFINITY;
  strike: () => Promise<void> = async () => undefined;
  readonly fault = async (): Promise<void> => {
    this.passed += 1;
    if (this.passed === this.at) await this.strike();
  };
  begin(at = Number.POSITIVE_INFINITY): void {
    this.passed = 0;
    this.at = at;
  }
}

async function prepared(
  { captures, isRestarted = false, ask }: Story,
  worldWith: (fault: World['fault']) => World = realWorld,
) {
  const fate = new Fate();
  const home = await house({ letters: 'a', world: () => worldWith(fate.fault) });
  const ids: string[] = [];
  for (const [index, disks] of captures.entries()) {
    await write(home, 'a', 0x10 + index, index);
    const { snapshotId, end } = await home.book.create({ disks, diskOnly: true });
    expect(end).toBe('created');
    ids.push(snapshotId);
  }
  if (isRestarted) {
    await home.off();
    await home.boot({ disks: home.present() });
  }
  await write(home, 'a', 0x20, captures.length);
  const before = contents(home);
  ask(home, ids);
  return { home, fate, before };
}

const heirOf = (home: House): void => {
  const hypervisor = openHypervisor({
    world: realWorld(),
    monitorRoots: [home.dir],
    imageRoots: [home.dir],
    worker: 'w2',
    transcriptsDir: join(home.dir, 'transcripts'),
  });
  home.succeed(hypervisor);
};

/** How many fault points the story passes when nobody dies. */
async function length(story: Story): Promise<number> {
  const { home, fate, before } = await prepared(story);
  fate.begin();
  expect((await home.finish()).end).toBe('deleted');
  await expectWhole(home, before);
  await home.off();
  return fate.passed;
}

async function workerDies(story: Story, at: number): Promise<void> {
  const { home, fate, before } = await prepared(story);
  const died = new Promise<void>((resolve) => {
    fate.strike = () => {
      resolve();
      return new Promise(() => undefined);
    };
  });
  fate.begin(at);
  const worked = home.finish().catch(() => undefined);
  await Promise.race([died, worked]);
  await home.hypervisor.close();
  heirOf(home);
  if (home.book.vm.operation) expect((await home.finish()).end).toBe('deleted');
  await expectWhole(home, before);
  await home.off();
}

/** It stays off, or whoever looks after it starts it anew at once, on the files that the ledger names. */
async function qemuDies(story: Story, at: number, then: 'off' | 'on'): Promise<void> {
  const { home, fate, before } = await prepared(story, then === 'off' ? settledWorld : realWorld);
  let booting: Promise<void> | null = null;
  fate.strike = async () => {
    await home.vm.kill();
    home.forget();
    if (then === 'on') booting = home.boot({ disks: home.present() }).catch(() => undefined); // A file is gone already.
  };
  fate.begin(at);
  expect((await home.finish()).end).toBe('deleted');
  await booting;
  await expectWhole(home, before);
  if (home.isOn) await home.off();
}

/** The first place by chance, so that over many runs all are met. */
async function everywhere(story: Story, die: (at: number) => Promise<void>): Promise<void> {
  const count = await length(story);
  for (let at = 1 + Math.floor(Math.random() * STRIDE); at <= count; at += STRIDE) {
    await die(at).catch((error: unknown) => {
      throw new Error(`died at ${at} of ${count}`, { cause: error });
    });
  }
}

const STRIDE = Number(process.env['DIED_STRIDE'] ?? '10');

describe.runIf(needsQemu()).each(Object.entries(STORIES))('inside %s', (_, story) => {
  test('the worker may die anywhere', { timeout: 600_000 }, () =>
    everywhere(story, (at) => workerDies(story, at)),
  );

  test('QEMU may die anywhere', { timeout: 600_000 }, () =>
    everywhere(story, (at) => qemuDies(story, at, 'off')),
  );

  test('QEMU may die anywhere and come back', { timeout: 600_000 }, () =>
    everywhere(story, (at) => qemuDies(story, at, 'on')),
  );
});

/** A worker goes on with what is open, and dies at the point. */
async function diesAt(home: House, mortal: string): Promise<void> {
  const { promise: death, resolve: die } = Promise.withResolvers<void>();
  const fault = (point: string): Promise<void> => {
    if (point !== `hypervisor.${mortal}`) return Promise.resolve();
    die();
    return new Promise(() => undefined);
  };
  await home.hypervisor.close();
  home.succeed(home.anew(realWorld(fault)));
  void home.book.work().catch(() => undefined);
  await death;
  await home.hypervisor.close();
}

describe.runIf(needsQemu())('a delete that began while the machine stood', () => {
  test.each([
    ['runs, for its owner has let it run since', 'cont', 'running'],
    ['stands, for its owner has not let it run', 'stop', 'paused'],
  ] as const)('ends with one that %s, though a worker died that had stopped it', async (_, asks, status) => {
    const { home, before } = await prepared({
      captures: [external, external],
      ask: (house, [first = '']) => house.book.askDelete(first),
    });
    await home.vm.monitor.execute('stop');
    await diesAt(home, 'after-begin');
    await home.vm.monitor.execute(asks);
    await diesAt(home, 'before-pivot');
    heirOf(home);
    expect((await home.finish()).end).toBe('deleted');
    expect(await home.vm.monitor.execute('query-status')).toMatchObject({ status });
    await home.vm.monitor.execute('cont');
    await expectWhole(home, before);
    await home.off();
  });
});

/** QEMU 7.2 dies of it while a stream is listed that has concluded. */
describe.runIf(needsQemu())('a QEMU that somebody else looks at all the time lives through', () => {
  test.each(Object.entries(STORIES))('%s', async (_, story) => {
    const { home, before } = await prepared(story);
    const over = new AbortController();
    const looking = (async () => {
      while (!over.signal.aborted) await home.vm.monitor.execute('query-named-block-nodes', { flat: true });
    })();
    const { end } = await home.finish();
    over.abort();
    await looking;
    expect(end).toBe('deleted');
    await expectWhole(home, before);
    await home.off();
  });
});

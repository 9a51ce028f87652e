/* Who lets a machine run that stands still: does it run when we stopped it, and stand when its owner did? */
import { join } from 'node:path';
import { NotNow, openHypervisor } from '#hypervisor';
import { realWorld, type World } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { holdOpen } from './holder.ts';
import { house, type House } from './house.ts';
import { writeAll } from './patterns.ts';
import { retold } from './retold.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

const disks = ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const }));

const stateOf = async ({ vm }: House): Promise<unknown> =>
  ((await vm.monitor.execute('query-status')) as { status: unknown }).status;

/** A worker that dies where it comes to a point. */
function deathAt() {
  let at = '';
  let reached: (() => void) | null = null;
  return {
    fault: async (name: string): Promise<void> => {
      if (name !== at) return;
      at = '';
      reached?.();
      await new Promise<never>(() => undefined);
    },
    arm: (name: string): Promise<void> => {
      at = name;
      return new Promise((resolve) => (reached = resolve));
    },
  };
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
      socketsDir: join(home.dir, 'sockets'),
    }),
  );
}

/** Two layers on each disk, and a request to fold the upper one away, which copies upwards. */
async function layered(home: House): Promise<{ id: string; middle: string }> {
  const ids: string[] = [];
  for (const pattern of [0x11, 0x22]) {
    await writeAll(home, pattern);
    const { snapshotId, end } = await home.book.create({ memory: 'none', disks });
    expect(end).toBe('created');
    ids.push(snapshotId);
  }
  await writeAll(home, 0x33);
  const [id = ''] = ids.slice(-1);
  const middle = home.book.snapshot(id).disks[0]?.file ?? '';
  home.book.askDelete(id);
  return { id, middle };
}

/** The world with a QEMU that refuses a command, while it is to. */
const refusing = (real: World, command: string, isToRefuse = () => true): World =>
  retold(real, (said) =>
    isToRefuse() ? said.replace(`"execute":"${command}"`, `"execute":"${command}-not"`) : said,
  );

/** A QEMU that refuses to let its machine run, for as long as it is told to. */
function stubborn() {
  let refuses = false;
  const world = (real: World): World => refusing(real, 'cont', () => refuses);
  return { world, refuse: (): void => void (refuses = true) };
}

/** The world of a worker that dies when it would unlink the file of a memory. */
const dyingAtUnlink = (real: World, die: () => void): World => ({
  ...real,
  files: {
    ...real.files,
    unlink: (path) => {
      if (!path.endsWith('-memory.qcow2')) return real.files.unlink(path);
      die();
      return new Promise(() => undefined);
    },
  },
});

describe.runIf(needsQemu())('a guest', () => {
  test('runs on while a delete that somebody else began waits for a file', async () => {
    const death = deathAt();
    const home = await house({ fault: death.fault });
    const { middle } = await layered(home);
    const dead = death.arm('hypervisor.before-pivot');
    void home.finish();
    await dead;
    expect(await stateOf(home)).toBe('paused');
    const holder = await holdOpen(middle, 'to read');
    await succeed(home);
    await expect(home.book.work()).rejects.toThrow(NotNow);
    expect(await stateOf(home)).toBe('running');
    await holder.end();
    expect((await home.finish()).end).toBe('deleted');
    expect(await stateOf(home)).toBe('running');
  });

  test('that its owner has stopped stays so when a delete goes on that has not touched it', async () => {
    const death = deathAt();
    const home = await house({ fault: death.fault });
    await layered(home);
    const dead = death.arm('hypervisor.after-begin');
    void home.finish();
    await dead;
    await home.vm.monitor.execute('stop');
    await succeed(home);
    expect((await home.finish()).end).toBe('deleted');
    expect(await stateOf(home)).toBe('paused');
  });

  test('that has been started anew in the middle of a delete runs on, though it stood when that began', async () => {
    const death = deathAt();
    let restart: (() => Promise<unknown>) | null = null;
    const home = await house({
      fault: async (name) => {
        if (name !== 'hypervisor.before-power' || !restart) return death.fault(name);
        const again = restart;
        restart = null;
        await again();
      },
    });
    await layered(home);
    await home.vm.monitor.execute('stop');
    restart = async () => {
      await home.vm.kill();
      home.forget();
      await home.boot({ disks: home.present() });
    };
    const dead = death.arm('hypervisor.before-power');
    void home.finish();
    await dead; // With a job that is ready, and the machine running.
    await succeed(home);
    expect((await home.finish()).end).toBe('deleted');
    expect(await stateOf(home)).toBe('running');
  });

  test.each([
    { point: 'hypervisor.after-begin', state: 'paused' }, // The owner's.
    { point: 'hypervisor.after-power', state: 'running' }, // Ours: it has been told to stand still.
  ])('goes on as $state when a capture is taken back that has died at $point', async ({ point, state }) => {
    const death = deathAt();
    const home = await house({ fault: death.fault });
    home.book.ask({ memory: 'external', disks });
    const dead = death.arm(point);
    void home.finish();
    await dead;
    await home.vm.monitor.execute('stop');
    await succeed(home);
    expect((await home.finish()).end).toMatch(/^undone/);
    expect(await stateOf(home)).toBe(state);
  });

  test('runs on when a worker dies in taking back a capture that QEMU has refused', async () => {
    const { promise: dead, resolve: die } = Promise.withResolvers<void>();
    const home = await house({ world: (real) => dyingAtUnlink(refusing(real, 'snapshot-save'), die) });
    home.book.ask({ memory: 'external', disks });
    void home.finish();
    await dead;
    await succeed(home);
    expect((await home.finish()).end).toMatch(/^undone/);
    expect(await stateOf(home)).toBe('running');
  });

  test('that QEMU does not let run after a capture is told of, and the capture stays', async () => {
    const qemu = stubborn();
    const home = await house({ world: qemu.world });
    qemu.refuse();
    const { end, report, snapshotId } = await home.book.create({ memory: 'external', disks });
    expect([end, await stateOf(home)]).toEqual(['created', 'paused']);
    expect(report).toMatchObject({ created: { runs: false } });
    expect(home.book.snapshot(snapshotId).status).toBe('complete');
    await succeed(home); // Nothing of the capture is open any more, so that it can be loaded.
    expect((await home.book.load(snapshotId)).report).toMatchObject({ loaded: { runs: true } });
  });

  test('that QEMU does not let run after a delete is told of', async () => {
    const qemu = stubborn();
    const home = await house({ world: qemu.world });
    await layered(home);
    qemu.refuse();
    const { end, report } = await home.finish();
    expect([end, await stateOf(home)]).toEqual(['deleted', 'paused']);
    expect(report).toMatchObject({ deleted: { runs: false } });
  });
});

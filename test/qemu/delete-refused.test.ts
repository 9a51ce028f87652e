/* Does a delete of layers keep its hands off what is not as the ledger left it, and what others use? */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { NotNow } from '#hypervisor';
import type { World } from '#world';
import { contents, expectWhole, goBackTo, topOf, write } from './branches.ts';
import { type House, house } from './house.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

const external = [{ device: 'dev-da', mode: 'external' as const }];

/** Two external snapshots of one disk, each with a cluster of its own. */
async function twoLayers(options: Parameters<typeof house>[0] = {}) {
  const home = await house({ letters: 'a', ...options });
  const ids: string[] = [];
  for (const step of [0, 1]) {
    await write(home, 'a', 0x10 + step, step);
    const { snapshotId, end } = await home.book.create({ disks: external, diskOnly: true });
    expect(end).toBe('created');
    ids.push(snapshotId);
  }
  await write(home, 'a', 0x20, 2);
  const [first = '', second = ''] = ids;
  return { home, first, second, middle: home.book.snapshot(second).disks[0]?.file ?? '' };
}

/** Works on the operation once; the words of what stood in the way. */
async function obstacle(home: House): Promise<string> {
  try {
    return (await home.book.work()).type;
  } catch (error) {
    if (error instanceof NotNow) return `${error.reason}: ${error.message}`;
    throw error;
  }
}

async function death(home: House): Promise<void> {
  await home.vm.kill();
  home.forget();
}

describe.runIf(needsQemu())('a delete of layers', () => {
  test('whose file has vanished is refused, and nothing is touched', async () => {
    const { home, second, middle } = await twoLayers();
    await home.off();
    renameSync(middle, `${middle}.away`);
    expect((await home.book.delete(second)).end).toBe('undone: snapshot-damaged');
    renameSync(`${middle}.away`, middle);
    const before = contents(home);
    expect((await home.book.delete(second)).end).toBe('deleted');
    await expectWhole(home, before);
  });

  test('that stand on something else than they were left on is refused', async () => {
    const { home, first, second } = await twoLayers();
    await home.off();
    const foreign = join(home.dir, 'foreign.img');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', foreign, '8M']);
    const top = topOf(home, 'a').file;
    execFileSync('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', foreign, '-F', 'qcow2', top]);
    expect((await home.book.delete(second)).end).toBe('undone: snapshot-damaged');
    expect([...home.book.vm.snapshots.keys()]).toEqual([first, second]);
  });

  test('whose QEMU dies while its locks are looked at is not called damaged', async () => {
    let victim: House | null = null;
    let dead: Promise<void> | null = null;
    const { home, second } = await twoLayers({
      world: (real) => ({
        ...real,
        files: {
          ...real.files,
          start: async (path, bytesMax) => {
            const hit = path === '/proc/locks' ? victim : null;
            if (dead) await dead;
            const found = real.files.start(path, bytesMax);
            if (hit) dead ??= found.then(() => death(hit)); // One image was found in use.
            return found;
          },
        },
      }),
    });
    victim = home;
    home.book.askDelete(second);
    expect(await obstacle(home)).toMatch(/^host-unreachable/);
    expect((await home.finish()).end).toBe('deleted');
  });

  test('of a machine that runs on another chain is refused', async () => {
    const { home, second } = await twoLayers();
    await home.off();
    await home.boot(); // On the image that it came with, which is the first snapshot by now.
    expect((await home.book.delete(second)).end).toBe('undone: vm-held');
  });

  test('waits for another process that uses a branch, and then goes on', async () => {
    const { home, second, middle } = await twoLayers();
    const branch = topOf(home, 'a').file;
    await goBackTo(home, second);
    const hold = spawn('qemu-io', ['-f', 'qcow2', branch], { stdio: ['pipe', 'ignore', 'ignore'] });
    await setTimeout(300);
    home.book.vm.layers.set(branch, {
      device: 'dev-da',
      file: branch,
      format: 'qcow2',
      backing: middle,
      origin: 'given',
    });
    home.book.askDelete(second);
    expect(await obstacle(home)).toMatch(/^machine-busy: /);
    expect(home.book.vm.operation?.started).not.toBeNull();
    hold.kill();
    await once(hold, 'exit');
    const before = contents(home);
    expect((await home.finish()).end).toBe('deleted');
    await expectWhole(home, before);
  });

  test('never takes a file away under a process that stands on it', async () => {
    const { home, second } = await twoLayers();
    const leaf = topOf(home, 'a').file;
    await goBackTo(home, second);
    const foreign = join(home.dir, 'foreign.img');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', leaf, '-F', 'qcow2', foreign, '8M']);
    const { snapshotId } = await home.book.create({ disks: external, diskOnly: true });
    const hold = spawn('qemu-io', ['-f', 'qcow2', foreign], { stdio: ['pipe', 'ignore', 'ignore'] });
    await setTimeout(300);
    home.book.askDelete(snapshotId);
    expect(await obstacle(home)).toMatch(/^machine-busy: somebody else has/);
    hold.kill();
    await once(hold, 'exit');
    expect((await home.finish()).end).toBe('deleted');
  });

  test('that would not fit on the file system is refused', async () => {
    let freeBytes = 1024 ** 3;
    const { home, second } = await twoLayers({
      world: (real) => ({ ...real, files: { ...real.files, freeBytes: async () => freeBytes } }),
    });
    freeBytes = FREE_BYTES_LEFT;
    const before = contents(home);
    expect((await home.book.delete(second)).end).toBe('undone: no-space');
    await expectWhole(home, before);
  });

  test('can be canceled while it copies upwards, and the snapshot stays whole', async () => {
    const { home, second } = await twoLayers({ world: slowStreams });
    const before = contents(home);
    home.book.askDelete(second);
    const working = home.finish();
    await until(async () => JSON.stringify(await home.vm.monitor.execute('query-jobs')).includes('stream'));
    const { operation } = home.book.vm;
    await home.hypervisor.cancel(home.book.vm, { id: operation?.id ?? '' });
    expect((await working).end).toBe('undone: canceled');
    await expectWhole(home, before);
    expect(home.book.snapshot(second).status).toBe('complete');
  });

  test('is not called undone when one disk is done: what lives inside a layer has lost what it read below', async () => {
    const home = await house({ world: slowStreams });
    const both = external.flatMap((disk) => [disk, { ...disk, device: 'dev-db' }]);
    for (const letter of 'ab') await write(home, letter, 0x10);
    expect((await home.book.create({ disks: both, diskOnly: true })).end).toBe('created');
    for (const letter of 'ab') await write(home, letter, 0x11, 1);
    const { snapshotId: middle } = await home.book.create({ disks: both, diskOnly: true });
    const { snapshotId: tenant, end } = await home.book.create({ diskOnly: true });
    expect(end).toBe('created');
    const before = contents(home);
    home.book.askDelete(middle, 'merge-force');
    const working = home.finish();
    const { id = '' } = home.book.vm.operation ?? {};
    await until(async () =>
      JSON.stringify(await home.vm.monitor.execute('query-jobs')).includes(`j-${id}-2`),
    );
    await home.hypervisor.cancel(home.book.vm, { id });
    expect((await working).end).toBe('held: canceled');
    const after = contents(home);
    const lost = Object.keys(before).filter((what) => after[what] !== before[what]);
    expect(lost).toEqual([`${tenant} dev-da`]);
    expect(home.book.snapshot(tenant).status).toBe('suspect');
  });

  test('whose layer somebody uses in QEMU tells how far it came, and goes on from there when asked again', async () => {
    const { home, second, middle } = await twoLayers();
    const { monitor } = home.vm;
    const addr = { type: 'unix', data: { path: join(home.dir, 'nbd.sock') } };
    await monitor.execute('nbd-server-start', { addr });
    await monitor.execute('block-export-add', {
      type: 'nbd',
      id: 'e',
      'node-name': await nodeOn(home, middle),
    });
    const before = contents(home);
    expect((await home.book.delete(second)).end).toBe('undone: refused-by-qemu');
    expect(contents(home)).toEqual(before);
    expect(home.book.vm.layers.get(topOf(home, 'a').file)?.backing).toBe(home.fileOf('a'));
    await monitor.execute('nbd-server-stop');
    expect((await home.book.delete(second)).end).toBe('deleted');
    await expectWhole(home, before);
  });
});

async function nodeOn(home: House, file: string): Promise<string> {
  const nodes = await home.vm.monitor.execute('query-named-block-nodes', { flat: true });
  const on = (nodes as { 'node-name': string; drv: string; file: string }[]).find(
    (node) => node.file === file && node.drv === 'qcow2',
  );
  return on?.['node-name'] ?? '';
}

const FREE_BYTES_LEFT = 1024 ** 2;

const slower = (line: string): string =>
  line.replace('"execute":"block-stream","arguments":{', '$&"speed":65536,');

/** QEMU copies one cluster a second. */
const slowStreams = (real: World): World => ({
  ...real,
  connect: async (path) => {
    const { write, ...rest } = await real.connect(path);
    return { ...rest, write: (said) => write(typeof said === 'string' ? slower(said) : said) };
  },
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await setTimeout(5);
}

/* Somebody else has one of our files open, or has taken it away: is the guest kept waiting, or let run on nothing? */
import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { NotNow, openHypervisor } from '#hypervisor';
import { tagOf } from '#ledger';
import { realWorld, type World } from '#world';
import { contents as digests, expectWhole, write } from './branches.ts';
import { type Holder, holdOpen } from './holder.ts';
import { type House, house } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu, snapshotTags } from './rig.ts';

afterAll(cleanUp);

const external = { disks: [{ device: 'dev-da', mode: 'external' as const }], diskOnly: true };
const internal = { disks: [{ device: 'dev-da', mode: 'internal' as const }], diskOnly: true };
const none = { disks: [{ device: 'dev-da', mode: 'none' as const }] };
/** The same of a machine that is off. */
const offline = { internal: { disks: internal.disks }, external: { disks: external.disks } };

async function created(home: House, wish: Parameters<House['book']['create']>[0]): Promise<string> {
  const { snapshotId, end } = await home.book.create(wish);
  expect(end).toBe('created');
  return snapshotId;
}

const stateOf = async ({ vm }: House): Promise<string> =>
  ((await vm.monitor.execute('query-status')) as { status: string }).status;

/** How the machine stands, and on what. */
async function stanceOf(home: House): Promise<string> {
  const blocks = (await home.vm.monitor.execute('query-block')) as { inserted: { 'node-name': string } }[];
  const isOnNothing = blocks.some(({ inserted }) => /-p\d+$/.test(inserted['node-name']));
  return `${await stateOf(home)} on ${isOnNothing ? 'nothing' : 'its image'}`;
}

function successorOf(home: House, fault?: World['fault']): void {
  const hypervisor = openHypervisor({
    world: realWorld(fault),
    monitorRoots: [home.dir],
    imageRoots: [home.dir],
    worker: 'w2',
    transcriptsDir: join(home.dir, 'transcripts'),
  });
  home.succeed(hypervisor);
}

/** The worker dies at the first point of that name at which `isIt`. Resolves when it has. */
function deathAt(point: string, isIt: () => Promise<boolean> = async () => true) {
  const { promise: died, resolve: die } = Promise.withResolvers<void>();
  let isArmed = false;
  const fault = async (passed: string): Promise<void> => {
    if (!isArmed || passed !== point || !(await isIt())) return;
    die();
    await new Promise<never>(() => undefined);
  };
  return { died, fault, arm: () => void (isArmed = true) };
}

describe.runIf(needsQemu())('a delete', () => {
  test('that somebody who reads a frozen file is in the way of lets the guest run meanwhile', async () => {
    const home = await house({ letters: 'a' });
    const buried = await created(home, internal);
    await created(home, external);
    const before = digests(home);
    const reader = await holdOpen(home.fileOf('a'), 'to read');
    home.book.askDelete(buried);
    await expect(home.book.work()).rejects.toThrow(NotNow);
    expect(await stanceOf(home)).toBe('running on its image');
    await reader.end();
    expect((await home.finish()).end).toBe('deleted');
    await expectWhole(home, before);
  });

  test('that cannot open again what it has closed lets no guest run without its disk', async () => {
    const stances = new Set<string>();
    let isAway = false;
    let isWatching = false;
    const home = await house({
      letters: 'a',
      fault: async (point) => {
        if (!isWatching) return;
        const stance = await stanceOf(home);
        if (isAway) stances.add(stance);
        if (isAway || point !== 'hypervisor.after-act' || !stance.endsWith('nothing')) return;
        renameSync(home.fileOf('a'), `${home.fileOf('a')}.away`);
        isAway = true;
      },
    });
    const first = await created(home, external);
    await home.off();
    await home.boot({ disks: home.present() });
    await write(home, 'a', 0x22);
    const before = digests(home);
    home.book.askDelete(first);
    isWatching = true;
    await expect(home.book.work()).rejects.toThrow(NotNow);
    isWatching = false;
    expect(isAway).toBe(true);
    expect([...stances]).not.toContain('running on nothing');
    renameSync(`${home.fileOf('a')}.away`, home.fileOf('a'));
    expect((await home.finish()).end).toBe('deleted');
    await expectWhole(home, before);
  });

  test('of what QEMU will not close, because somebody reads it there, waits while the guest runs on', async () => {
    const home = await house({ letters: 'a' });
    const buried = await created(home, internal);
    await created(home, external);
    const before = digests(home);
    const { monitor } = home.vm;
    const [block] = (await monitor.execute('query-block')) as { inserted: { 'node-name': string } }[];
    const addr = { type: 'unix', data: { path: join(home.dir, 'nbd.sock') } };
    await monitor.execute('nbd-server-start', { addr });
    const node = block?.inserted['node-name'] ?? '';
    await monitor.execute('block-export-add', { type: 'nbd', id: 'reader', 'node-name': node });
    home.book.askDelete(buried);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(home.book.work()).rejects.toThrow(NotNow);
      expect(await stanceOf(home)).toBe('running on its image');
    }
    await monitor.execute('block-export-del', { id: 'reader', mode: 'hard' });
    expect((await home.finish()).end).toBe('deleted');
    await expectWhole(home, before);
  });

  test('does not let a machine run that somebody has started standing since', async () => {
    const { died, fault, arm } = deathAt('hypervisor.before-removal');
    const home = await house({ letters: 'a', fault });
    const snapshotId = await created(home, { diskOnly: true });
    home.book.askDelete(snapshotId);
    arm();
    void home.finish();
    await died;
    await home.hypervisor.close();
    await home.vm.kill();
    await home.boot({ extraArgs: ['-S'] });
    successorOf(home);
    expect((await home.finish()).end).toBe('deleted');
    expect(await stateOf(home)).toBe('prelaunch');
  });

  test('does not take a file that cannot be read for one that is gone', async () => {
    const home = await house({ letters: 'a' });
    await home.off();
    const buried = await created(home, offline.internal);
    await created(home, offline.external);
    const file = home.fileOf('a');
    const opened = openSync(file, 'r+');
    const magic = Buffer.from('QFI\xfb', 'latin1');
    successorOf(home, async (point) => {
      if (point === 'hypervisor.before-act') writeSync(opened, Buffer.alloc(4), 0, 4, 0);
    });
    const { end, report } = await home.book.delete(buried);
    writeSync(opened, magic, 0, magic.length, 0);
    closeSync(opened);
    expect(end).toMatch(/^held: /);
    expect(report).toMatchObject({ failed: { leftovers: [{ file, tag: tagOf(buried) }] } });
    expect(snapshotTags(file)).toEqual([tagOf(buried)]);
  });
});

describe.runIf(needsQemu())('a create', () => {
  test('after which QEMU will not let the machine run on says so, and is not as if nothing had been', async () => {
    let reader: Holder | null = null;
    let powers = 0;
    const home = await house({
      letters: 'a',
      fault: async (point) => {
        if (point === 'hypervisor.before-power') powers += 1;
        // QEMU has sent the memory and let go of its images: now anybody may take their locks.
        if (powers === 2) reader ??= await holdOpen(home.fileOf('a'), 'to read');
      },
    });
    const { end, report } = await home.book.create({ memory: 'external', memoryFormat: 'stream', ...none });
    await (reader as Holder | null)?.end();
    expect(await stateOf(home)).toBe('postmigrate');
    expect(end).toBe('held: machine-busy');
    expect(report).toMatchObject({
      failed: { message: expect.stringContaining('would not let the machine run on') },
    });
  });
});

describe.runIf(needsQemu())('a load', () => {
  test('does not unlink a top that it leaves while somebody has it open', async () => {
    const home = await house({ letters: 'a' });
    const snapshotId = await created(home, external);
    await home.off();
    const [left] = home.present();
    const clone = await holdOpen(left?.file ?? '', 'to read');
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
    expect(existsSync(left?.file ?? '')).toBe(true);
    expect(home.book.vm.layers.has(left?.file ?? '')).toBe(true);
    await clone.end();
    expect((await home.book.load(snapshotId, { disksOnly: true })).end).toBe('loaded');
    expect(existsSync(left?.file ?? '')).toBe(false);
  });

  test('that was over when its worker died is not done again over what the guest wrote since', async () => {
    const { died, fault, arm } = deathAt(
      'hypervisor.after-power',
      async () => (await stanceOf(home)) === 'running on its image',
    );
    const home = await house({ letters: 'a', fault });
    await writeAll(home, 0x11);
    const snapshotId = await created(home, external);
    await writeAll(home, 0x22);
    home.book.askLoad(snapshotId);
    arm();
    void home.finish();
    await died;
    await home.hypervisor.close();
    expect(await contents(home)).toBe('11');
    await writeAll(home, 0x44);
    await home.off();
    successorOf(home);
    expect((await home.finish()).end).toBe('loaded');
    await home.boot({ disks: home.present() });
    expect(await contents(home)).toBe('44');
  });
});

/* Where a real machine stands, who holds its monitor, and what loads leave: told truthfully, and lifted when it is over. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu, type RigDisk } from './rig.ts';

afterAll(cleanUp);

/** Looks at the whole machine as the worker does, records it, and says what was found. */
async function look({ hypervisor, book }: House): Promise<string[]> {
  const seen = await hypervisor.survey(book.seen());
  book.handle({ type: 'ReportDrift', ...seen });
  return seen.findings.map(({ kind }) => kind);
}

const external = { disks: ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const })) };

const topOf = ({ book }: House, device: string): string =>
  book.vm.disks.find((disk) => disk.device === device)?.file ?? '';

/** The disks of a machine that somebody has put on a new layer of his own over this file. */
function over(home: House, file: string): RigDisk[] {
  const own = join(home.dir, 'by-hand.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', file, '-F', 'qcow2', own]);
  return home.present().map((disk) => (disk.node === 'da' ? { ...disk, file: own } : disk));
}

describe.runIf(needsQemu())('a machine that somebody has put on a layer of his own', () => {
  test('over what another snapshot holds goes on from that one, and not from its current', async () => {
    const home = await house();
    const first = await home.book.create(external);
    const frozen = topOf(home, 'dev-da');
    await home.book.create({ ...external, name: 'second' });
    await home.book.load(first.snapshotId, {});
    expect(home.book.vm.current.id).toBe(first.snapshotId);
    const disks = structuredClone(home.book.vm.disks);
    const right = home.present();
    await home.off();
    await home.boot({ disks: over(home, frozen) });
    expect(await look(home)).toEqual(['wrong-current']);
    expect(home.book.vm.drift[0]).toMatchObject({ snapshotId: first.snapshotId, device: 'dev-da' });
    expect(home.book.vm.drift[0]?.message).toContain('which holds "second"');
    expect(home.book.vm.disks).toEqual(disks); // Nobody takes that layer for the machine's own.
    await home.off();
    await home.boot({ disks: right });
    expect(await look(home)).toEqual([]);
  });

  test('over its present goes on from its current all the same', async () => {
    const home = await house();
    await home.book.create(external);
    const top = topOf(home, 'dev-da');
    await home.off();
    await home.boot({ disks: over(home, top) });
    expect(await look(home)).toEqual([]);
  });

  test('below its current has lost what that one held', async () => {
    const home = await house();
    await home.book.create(external);
    await home.book.create(external);
    await home.off();
    await home.boot({ disks: over(home, home.fileOf('a')) });
    expect(await look(home)).toEqual(['wrong-current']);
  });
});

describe.runIf(needsQemu())('a machine on a wrong chain', () => {
  test('is right again after a load, and shows it without another look', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create(external);
    await guestWrite(home.vm, 'da', 7);
    await home.off();
    await home.boot({ extraArgs: ['-S'] });
    expect(await look(home)).toEqual(['wrong-chain', 'wrong-chain']);
    expect(() => home.book.ask()).toThrow('ledgerctl vm launch');
    await home.off();
    expect(await home.book.load(snapshotId, { disksOnly: true })).toMatchObject({ end: 'loaded' });
    expect(home.book.vm.drift).toEqual([]);
    await home.boot({ disks: home.present() });
    expect(await home.book.create()).toMatchObject({ end: 'created' });
    expect(await guestReadPattern(home.vm, 'da', 7)).toBe(false);
  });

  test('that somebody has released without looking is spoiled by no operation', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create(external);
    await home.off();
    await home.boot({ extraArgs: ['-S'] });
    await look(home);
    const release = { type: 'ReleaseHold' as const, note: 'it is fine, they say' };
    home.book.handle(release);
    const before = readdirSync(home.dir);
    expect(await home.book.create()).toMatchObject({ end: 'undone: vm-held' });
    expect(await home.book.load(snapshotId, {})).toMatchObject({ end: 'undone: vm-held' });
    home.book.handle(release); // Each has held it again.
    expect(await home.book.delete(snapshotId, 'merge')).toMatchObject({ end: 'undone: vm-held' });
    expect(readdirSync(home.dir).toSorted()).toEqual(before.toSorted());
    await look(home);
    expect(() => home.book.handle({ ...release, isSeen: true })).toThrow('vm launch');
  });
});

describe.runIf(needsQemu())('what a load has left', () => {
  test('is an orphan as well, though its files are called after no snapshot', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create(external);
    await home.book.load(snapshotId, {});
    const left = topOf(home, 'dev-da');
    await home.book.load(snapshotId, {});
    expect(existsSync(left)).toBe(false);
    writeFileSync(left, ''); // As if it had never been unlinked.
    expect(await look(home)).toEqual(['orphan']);
    expect(home.book.vm.drift[0]).toMatchObject({ file: left });
  });
});

describe.runIf(needsQemu())('a monitor that another client has', () => {
  test('is held, and the machine is not off; it is free when that one leaves', async () => {
    const home = await house();
    const { vm } = home.book;
    await home.hypervisor.status(home.book.seen());
    expect(home.hypervisor.heldSince(vm)).toBeNull();
    await home.hypervisor.close();
    home.vm.monitor.close();
    const other = await greeted(vm.monitor);
    const heir = home.anew();
    await expect(heir.status(home.book.seen())).rejects.toMatchObject({ code: 'host-unreachable' });
    expect(heir.heldSince(vm)).toBeGreaterThan(0);
    other.destroy();
    await heir.status(home.book.seen());
    expect(heir.heldSince(vm)).toBeNull();
    await heir.close();
  });
});

/** Somebody else who has connected, and whom QEMU has greeted. */
const greeted = (path: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('data', () => resolve(socket));
    socket.once('error', reject);
  });

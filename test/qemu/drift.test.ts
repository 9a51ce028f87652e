import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tagOf } from '#ledger';
import type { World } from '#world';
import { afterAll, describe, expect, test } from 'vitest';
import { house, type House } from './house.ts';
import { cleanUp, guestReadPattern, guestWrite, needsQemu } from './rig.ts';

afterAll(cleanUp);

/** Looks at the whole machine as the worker does, records it, and says what was found. */
async function look({ hypervisor, book }: House): Promise<string[]> {
  const seen = await hypervisor.survey(book.seen());
  book.handle({ type: 'ReportDrift', ...seen });
  return seen.findings.map(({ kind }) => kind);
}

const qemuImg = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

const hmp = ({ vm }: House, line: string): Promise<unknown> =>
  vm.monitor.execute('human-monitor-command', { 'command-line': line });

const statusOf = ({ book }: House, id: string): string => book.snapshot(id).status;

const external = { disks: ['dev-da', 'dev-db'].map((device) => ({ device, mode: 'external' as const })) };

describe.runIf(needsQemu())('a look at a real machine', () => {
  test('finds nothing where all is as it was left, whether it is on or off, and records nothing', async () => {
    const box = await house();
    await box.book.create({ memory: 'internal' });
    await box.book.create(external);
    await box.book.create({ memory: 'external' });
    const events = box.book.events.length;
    expect(await look(box)).toEqual([]);
    await box.off();
    expect(await look(box)).toEqual([]);
    expect(box.book.events).toHaveLength(events);
  });

  test('a snapshot that is on none of its disks is missing, and lost', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.off();
    for (const letter of 'ab') qemuImg('snapshot', '-d', tagOf(snapshotId), box.fileOf(letter));
    expect(await look(box)).toEqual(['missing']);
    expect(statusOf(box, snapshotId)).toBe('lost');
    expect(() => box.book.askLoad(snapshotId)).toThrow('is lost');
  });

  test('a lost snapshot is forgotten by a delete, and its children get its parent', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    const child = await box.book.create();
    await box.off();
    for (const letter of 'ab') qemuImg('snapshot', '-d', tagOf(snapshotId), box.fileOf(letter));
    expect(await look(box)).toEqual(['missing']);
    expect(await box.book.delete(snapshotId, 'merge')).toMatchObject({ end: 'deleted' });
    expect(box.book.snapshot(child.snapshotId).parentId).toBeNull();
    expect(await look(box)).toEqual([]);
  });

  test('one that is on some of them is partial, and suspect', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.vm.monitor.execute('blockdev-snapshot-delete-internal-sync', {
      device: 'db',
      name: tagOf(snapshotId),
    });
    expect(await look(box)).toEqual(['partial']);
    expect(statusOf(box, snapshotId)).toBe('suspect');
  });

  test('a tag that somebody made anew is not the snapshot that was taken', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.off();
    qemuImg('snapshot', '-d', tagOf(snapshotId), box.fileOf('a'));
    qemuImg('snapshot', '-c', tagOf(snapshotId), box.fileOf('a'));
    expect(await look(box)).toEqual(['partial']);
  });

  test('a file that comes back makes its snapshot complete again', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create(external);
    const frozen = box.fileOf('a');
    await box.off();
    renameSync(frozen, `${frozen}.away`);
    expect(await look(box)).toEqual(['partial']);
    expect(statusOf(box, snapshotId)).toBe('suspect');
    renameSync(`${frozen}.away`, frozen);
    expect(await look(box)).toEqual([]);
    expect(statusOf(box, snapshotId)).toBe('complete');
  });

  test('what a deleted snapshot was called after is an orphan, be it a tag or a file', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.book.delete(snapshotId);
    await box.off();
    qemuImg('snapshot', '-c', tagOf(snapshotId), box.fileOf('b'));
    writeFileSync(join(box.dir, `${tagOf(snapshotId)}-1.qcow2`), '');
    expect(await look(box)).toEqual(['orphan', 'orphan']);
  });

  test('the same tag twice on a disk is a duplicate, whose ever it is', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.off();
    qemuImg('snapshot', '-c', tagOf(snapshotId), box.fileOf('a'));
    qemuImg('snapshot', '-c', 'mine', box.fileOf('b'));
    qemuImg('snapshot', '-c', 'mine', box.fileOf('b'));
    expect(await look(box)).toEqual(['duplicate', 'duplicate']);
    expect(statusOf(box, snapshotId)).toBe('suspect');
  });

  test('a snapshot under another tag is known again by its number and its time', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.off();
    const file = box.fileOf('a');
    const tag = tagOf(snapshotId);
    const bytes = readFileSync(file);
    bytes.write('x'.repeat(tag.length), bytes.indexOf(tag));
    writeFileSync(file, bytes);
    expect(await look(box)).toEqual(['renamed']);
    expect(box.book.vm.drift[0]).toMatchObject({ snapshotId, tag: 'x'.repeat(tag.length) });
    expect(statusOf(box, snapshotId)).toBe('suspect');
  });

  test('a machine that came back without a disk says which snapshots that one is missing to', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create();
    await box.off();
    await box.boot({ disks: box.withoutFaults().slice(0, 1) });
    expect(await look(box)).toEqual(['config-changed']);
    expect(box.book.vm.disks.map(({ device }) => device)).toEqual(['dev-da']);
    expect(box.book.vm.drift[0]?.message).toContain(box.book.snapshot(snapshotId).name);
    expect(statusOf(box, snapshotId)).toBe('complete');
  });
});

describe.runIf(needsQemu())('snapshots that were there before the ledger', () => {
  test('are adopted under their own tags, in the order of their dates, and load with their memory', async () => {
    const box = await house();
    await guestWrite(box.vm, 'da', 1);
    await hmp(box, 'savevm first');
    await guestWrite(box.vm, 'da', 2);
    await hmp(box, 'savevm 2');
    await guestWrite(box.vm, 'da', 3);
    expect(await look(box)).toEqual(['foreign', 'foreign']);
    box.book.handle({ type: 'AdoptSnapshots', ids: ['id-1', 'id-2'] });
    const adopted = [...box.book.vm.snapshots.values()];
    expect(
      adopted.map(({ name, parentId, status, memory }) => [name, parentId, status, memory.mode]),
    ).toEqual([
      ['first', null, 'complete', 'internal'],
      ['2', null, 'complete', 'internal'],
    ]);
    expect(box.book.vm.current).toEqual({ id: null, confidence: 'assumed' });
    expect(await look(box)).toEqual([]);
    const [first, second] = adopted.map(({ id }) => id);
    expect(await box.book.load(first ?? '')).toMatchObject({ end: 'loaded' });
    expect(await guestReadPattern(box.vm, 'da', 1)).toBe(true);
    expect(await box.book.load(second ?? '')).toMatchObject({ end: 'loaded' });
    expect(await guestReadPattern(box.vm, 'da', 2)).toBe(true);
    expect(await box.book.delete(first ?? '')).toMatchObject({ end: 'deleted' });
    expect(box.tags().map((tags) => tags.includes('first'))).toEqual([false, false]);
    expect(await look(box)).toEqual([]);
  });

  test('load and go under later layers as well', async () => {
    const box = await house();
    await guestWrite(box.vm, 'da', 1);
    await hmp(box, 'savevm native');
    await look(box);
    box.book.handle({ type: 'AdoptSnapshots', ids: ['id-1'] });
    await guestWrite(box.vm, 'da', 2);
    await box.book.create(external);
    expect(await look(box)).toEqual([]);
    expect(await box.book.load('id-1', { disksOnly: true })).toMatchObject({ end: 'loaded' });
    expect(await guestReadPattern(box.vm, 'da', 1)).toBe(true);
    expect(await box.book.delete('id-1')).toMatchObject({ end: 'deleted' });
    expect(await look(box)).toEqual([]);
  });

  test('stay foreign when they are not on every disk', async () => {
    const box = await house();
    await box.off();
    qemuImg('snapshot', '-c', 'half', box.fileOf('a'));
    expect(await look(box)).toEqual(['foreign']);
    expect(box.book.handle({ type: 'AdoptSnapshots', ids: ['id-1'] })).toEqual([]);
    expect(() => box.book.handle({ type: 'AdoptSnapshots', names: ['half'], ids: ['id-1'] })).toThrow(
      'it is not on dev-db',
    );
  });
});

const startedWrong = async (fault?: World['fault']) => {
  const box = await house(fault && { fault });
  const { snapshotId } = await box.book.create(external);
  const right = box.present();
  await box.off();
  await box.boot();
  return { box, snapshotId, right };
};

describe.runIf(needsQemu())('a machine that was started from the file it began with', () => {
  test('is stopped and held, and its disks stay those of the ledger', async () => {
    const { box, snapshotId, right } = await startedWrong();
    const disks = structuredClone(box.book.vm.disks);
    expect(await look(box)).toContain('wrong-chain');
    expect(await box.vm.monitor.execute('query-status')).toMatchObject({ running: false });
    expect(box.book.vm.disks).toEqual(disks);
    expect(() => box.book.ask()).toThrow(`ledgerctl vm launch`);
    expect(statusOf(box, snapshotId)).toBe('suspect'); // The guest ran on what it holds.
    await box.off();
    await box.boot({ disks: right });
    expect(await look(box)).toEqual(['wrong-chain', 'wrong-chain']); // Of what it has spoiled, disk by disk.
    expect(box.book.ask()).not.toBe(''); // It is held no more.
    await box.finish();
    expect(statusOf(box, snapshotId)).toBe('suspect');
  });

  test('carries out nothing', async () => {
    const { box } = await startedWrong();
    const disks = structuredClone(box.book.vm.disks);
    expect(await box.book.create()).toMatchObject({ end: 'undone: vm-held' });
    expect(await box.vm.monitor.execute('query-status')).toMatchObject({ running: false });
    expect(box.book.vm.disks).toEqual(disks);
    const status = await box.hypervisor.status(box.book.seen());
    expect(status).toMatchObject({ snapshottable: false, isOnWrongChain: true });
  });

  test('and that dies before the next look has spoiled what an operation has seen it write into', async () => {
    const { box, snapshotId, right } = await startedWrong();
    expect(await box.book.delete(snapshotId, 'merge')).toMatchObject({ end: 'undone: vm-held' });
    expect(box.book.events.at(-1)).toMatchObject({ type: 'DriftFound', data: { stopped: true } });
    expect(statusOf(box, snapshotId)).toBe('suspect');
    expect(() => box.book.ask()).toThrow('ledgerctl vm launch');
    await box.off();
    expect(await look(box)).toEqual(['wrong-chain', 'wrong-chain']); // Of what it has spoiled, disk by disk.
    await box.boot({ disks: right });
    expect(await box.book.create()).toMatchObject({ end: 'created' }); // It is held no more.
    expect(statusOf(box, snapshotId)).toBe('suspect');
  });

  test.each(['before', 'after'])(
    'and that dies %s it is asked to stop has spoiled what was seen of it',
    async (side) => {
      let kill: (() => Promise<void>) | null = null;
      const { box, snapshotId } = await startedWrong(async (point) => {
        if (point === `hypervisor.${side}-power`) await kill?.();
      });
      kill = () => box.vm.kill();
      expect(await look(box)).toContain('wrong-chain');
      box.forget();
      expect(statusOf(box, snapshotId)).toBe('suspect');
    },
  );

  test('spoils nothing as long as its guest has not been let go', async () => {
    const box = await house();
    const { snapshotId } = await box.book.create(external);
    await box.off();
    await box.boot({ extraArgs: ['-S'] });
    expect(await look(box)).toEqual(['wrong-chain', 'wrong-chain']);
    expect(statusOf(box, snapshotId)).toBe('complete');
    box.book.handle({ type: 'ReleaseHold', note: 'it did not run' });
    expect(box.book.vm.drift).toEqual([]);
  });
});

/* Does a plan name exactly the files that come and go, and does making it touch nothing? On real QEMU. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import type { Plan } from '#hypervisor';
import { afterwards, type Command, type DiskCapture } from '#ledger';
import { write } from './branches.ts';
import { type House, house } from './house.ts';
import { cleanUp, makeDisk, needsQemu } from './rig.ts';

afterAll(cleanUp);

const limits = { snapshotsMax: 200, chainMax: 64 };

const external = (...letters: string[]): DiskCapture[] =>
  letters.map((letter) => ({ device: `dev-d${letter}`, mode: 'external' as const }));

const create = (more: object = {}): Command => ({
  ...{ type: 'CreateSnapshot', snapshotId: v7(), operationId: v7(), limits },
  ...more,
});
const load = (snapshotId: string, more: object = {}): Command => ({
  ...{ type: 'LoadSnapshot', snapshotId, operationId: v7() },
  ...more,
});
const remove = (snapshotId: string, strategy: 'merge' | 'merge-force' | 'discard-force'): Command => ({
  ...{ type: 'DeleteSnapshot', snapshotId, operationId: v7(), strategy },
});

const pin = (what: string) => ({ pin: { snapshotId: v7(), what } });

const imagesIn = ({ dir }: House): string[] =>
  readdirSync(dir)
    .filter((name) => !name.endsWith('.sock') && name !== 'transcripts')
    .map((name) => join(dir, name))
    .toSorted();

/** All that a plan could touch. */
async function everything(home: House): Promise<object> {
  const files = imagesIn(home).map((file) => {
    const { size, mtimeMs, ino } = statSync(file);
    return [file, size, mtimeMs, ino];
  });
  const machine = home.isOn
    ? [
        await home.vm.monitor.execute('query-named-block-nodes', { flat: true }),
        await home.vm.monitor.execute('query-status'),
        await home.jobsLeft(),
      ]
    : [];
  return { files, machine, events: [...home.book.events] };
}

/** Plans, sees that nothing is touched, does it, and sees that it went as planned. */
async function asPlanned(home: House, command: Command): Promise<Plan> {
  const before = await everything(home);
  const plan = await home.book.plan(command);
  expect(await everything(home)).toEqual(before);
  expect((await home.book.plan(command)).basis).toBe(plan.basis);
  const files = imagesIn(home);
  const foreseen = afterwards(afterwards(home.book.vm, command).vm, plan.report).vm;
  home.book.handle({ ...command, plan: { hash: 'h', basis: plan.basis } } as Command);
  const { end } = await home.finish();
  expect(end).toMatch(/^(created|loaded|deleted)$/);
  const after = imagesIn(home);
  expect(after.filter((file) => !files.includes(file))).toEqual(plan.filesCreated.toSorted());
  expect(files.filter((file) => !after.includes(file))).toEqual(plan.filesUnlinked.toSorted());
  expect(treeOf(home.book.vm)).toEqual(treeOf(foreseen));
  return plan;
}

/** Whatever is shown of the lineage, but for pins and for what QEMU alone knows. */
const treeOf = ({ snapshots, current }: House['book']['vm']) => ({
  current,
  snapshots: [...snapshots.values()]
    .filter(({ implicit }) => !implicit)
    .map(({ id, parentId, status, vmState, disks, memory }) => {
      const { mode, device, file, format } = memory;
      return { id, parentId, status, vmState, disks, memory: { mode, device, file, format } };
    }),
});

const idOf = (command: Command): string => ('snapshotId' in command ? (command.snapshotId ?? '') : '');

/** A chain of external snapshots, each with a cluster of its own on both disks. */
async function chain(home: House, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let step = 0; step < count; step += 1) {
    for (const letter of ['a', 'b']) await write(home, letter, 0x10 + step, step);
    const { snapshotId, end } = await home.book.create({
      disks: external('a', 'b'),
      ...(home.isOn && { diskOnly: true }),
    });
    expect(end).toBe('created');
    ids.push(snapshotId);
  }
  for (const letter of ['a', 'b']) await write(home, letter, 0x20, count);
  return ids;
}

describe.runIf(needsQemu())('the plan of a running machine', () => {
  test('names what a create makes: overlays, memory, copies', async () => {
    const home = await house();
    await write(home, 'a', 1);
    await write(home, 'a', 1, 1);
    const target = join(home.dir, 'copy.qcow2');
    const backup = {
      device: 'dev-da',
      target,
      format: 'qcow2',
      sync: 'full',
      fileMode: 'absolute-paths',
    } as const;
    const inside = await asPlanned(home, create());
    expect(inside).toMatchObject({ filesCreated: [], stops: { machine: true } });
    const disks = await asPlanned(home, create({ disks: external('a', 'b'), diskOnly: true }));
    expect(disks).toMatchObject({ bytes: 0, stops: { machine: false, estimatedMs: 0 } });
    expect(disks.filesCreated).toHaveLength(2);
    const memory = await asPlanned(home, create({ disks: external('a'), memory: 'external' }));
    expect(memory.bytes).toBeGreaterThanOrEqual(64 * 1024 * 1024);
    expect(memory.commands[0]).toBe('stop the machine');
    const copy = await asPlanned(home, create({ diskOnly: true, backups: [backup] }));
    expect(copy).toMatchObject({ filesCreated: [target], bytes: 2 * 65_536 });
    const stream = { memory: 'external', memoryFormat: 'stream' } as const;
    const streamed = await home.book.plan(create(stream));
    const again = { ...backup, target: join(home.dir, 'again.qcow2') };
    const both = await home.book.plan(create({ ...stream, backups: [again] }));
    expect(both.commands.at(-1)).toBe('let the machine run again'); // QEMU sends no memory while a copy runs.
    expect(both.stops.estimatedMs).toBeGreaterThan(streamed.stops.estimatedMs);
  });

  test('names what a load makes and leaves: new tops, a pin, the copy of what is buried', async () => {
    const home = await house();
    const tagged = create();
    await asPlanned(home, tagged);
    const [first = ''] = await chain(home, 2);
    const back = await asPlanned(home, load(first, { ...pin('disks'), resume: 'running' }));
    expect(back).toMatchObject({ filesUnlinked: [], snapshotsDiscarded: [], bytes: 0 });
    expect(back.commands.at(0)).toBe('stop the machine');
    expect(back.commands.at(-1)).toBe('let the machine run again');
    const again = await asPlanned(home, load(first, { ...pin('memory'), resume: 'running' }));
    expect(again.snapshotsDiscarded).toHaveLength(1);
    expect(again.filesUnlinked.length).toBeGreaterThan(0);
    const buried = await asPlanned(home, load(idOf(tagged), { resume: 'running' }));
    expect(buried.filesCreated).toHaveLength(2);
    const sources = home.disks.map(({ file }) => statSync(file).size);
    expect(buried.bytes).toBe(sources.reduce((sum, size) => sum + size, 0));
  });

  test('names what a delete unlinks, copies and takes along', async () => {
    const home = await house();
    const ids = await chain(home, 3);
    const merge = await asPlanned(home, remove(ids[1] ?? '', 'merge'));
    expect(merge.filesUnlinked).toHaveLength(2);
    expect(merge.bytes).toBeGreaterThan(0);
    const tag = create({ diskOnly: true });
    await asPlanned(home, tag);
    const inside = await asPlanned(home, remove(idOf(tag), 'discard-force'));
    expect(inside).toMatchObject({ bytes: 0, filesUnlinked: [], stops: { machine: false } });
    const all = await asPlanned(home, { type: 'DeleteAllSnapshots', operationId: v7() });
    expect(all.snapshotsDiscarded.toSorted()).toEqual([ids[0], ids[2]].toSorted());
    expect(all.filesUnlinked.length).toBeGreaterThan(0);
  });

  test('is another one once somebody writes a tag, or switches it off, and the same when it is on again', async () => {
    const home = await house();
    const wish = create({ diskOnly: true });
    const basis = async (): Promise<string> => (await home.book.plan(wish)).basis;
    const first = await basis();
    await home.vm.monitor.execute('blockdev-snapshot-internal-sync', { device: 'da', name: 'monday' });
    const tagged = await basis();
    await home.off();
    const off = await basis();
    expect(new Set([first, tagged, off]).size).toBe(3);
    await home.boot();
    expect(await basis()).toBe(tagged);
  });
});

describe.runIf(needsQemu())('the plan of a machine that is off', () => {
  test('names the files of a create, a load, a merge and a discard', async () => {
    const home = await house();
    await home.off();
    const ids = await chain(home, 3);
    const [root = '', middle = '', leaf = ''] = ids;
    await asPlanned(home, create({ disks: external('a') }));
    const back = await asPlanned(home, load(root, pin('disks')));
    expect(back).toMatchObject({ stops: { machine: false, estimatedMs: 0 } });
    const merge = await asPlanned(home, remove(middle, 'merge'));
    expect(merge.bytes).toBeGreaterThan(0);
    const discard = await asPlanned(home, remove(leaf, 'discard-force'));
    expect(discard.snapshotsDiscarded.length).toBeGreaterThan(0);
  });

  test('is refused what the operation would be refused, with the same reason', async () => {
    const home = await house();
    const { snapshotId } = await home.book.create({});
    await home.off();
    await expect(home.book.plan(load(snapshotId))).rejects.toMatchObject({ code: 'needs-power-on' });
    const target = makeDisk(join(home.dir, 'there.qcow2'));
    const taken = { device: 'dev-da', mode: 'external', file: target };
    await expect(home.book.plan(create({ disks: [taken] }))).rejects.toMatchObject({
      code: 'path-not-allowed',
    });
  });
});

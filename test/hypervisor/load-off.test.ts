/* Does a load on a machine that is off reach every disk, or hold the machine? */
import { tagOf } from '#ledger';
import { beforeEach, describe, expect, test } from 'vitest';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

describe('a load on a machine that is off', () => {
  let stage: Stage;
  let host: Stage['host'];
  let book: Stage['book'];
  let snapshotId: string;
  let withMemory: string;

  const present = (): string => `${host.image('a').content} ${host.image('b').content}`;

  beforeEach(async () => {
    stage = await running();
    ({ host, book } = stage);
    ({ snapshotId } = await book.create({ diskOnly: true }));
    ({ snapshotId: withMemory } = await book.create());
    host.image('a').content = 'later';
    host.image('b').content = 'later';
    host.die();
  });

  test('is done by qemu-img, disk after disk, at once', async () => {
    const before = host.world.clock.monotonic();
    const { end, report } = await book.load(snapshotId);
    expect(end).toBe('loaded');
    expect(report).toMatchObject({ loaded: { runs: false } });
    expect(present()).toBe('first first');
    expect(host.toolCalls.filter((call) => call.startsWith('snapshot'))).toEqual([
      `snapshot -q -a ${tagOf(snapshotId)}`,
      `snapshot -q -a ${tagOf(snapshotId)}`,
    ]);
    expect(host.world.clock.monotonic()).toBe(before);
  });

  test('with memory needs the machine on, unless only the disks are wanted', async () => {
    expect((await book.load(withMemory)).end).toBe('undone: needs-power-on');
    expect(present()).toBe('later later');
    expect((await book.load(withMemory, { disksOnly: true })).end).toBe('loaded');
    expect(present()).toBe('first first');
  });

  test('cannot make the machine run', async () => {
    expect((await book.load(snapshotId, { resume: 'running' })).end).toBe('undone: needs-power-on');
  });

  test('touches nothing when a disk has lost the tag or has a dirty bitmap', async () => {
    host.image('b').hasBitmaps = true;
    expect((await book.load(snapshotId)).end).toBe('undone: not-loadable');
    host.image('b').tags = [];
    expect((await book.load(snapshotId)).end).toBe('undone: snapshot-damaged');
    expect(present()).toBe('later later');
  });

  test('that one disk refuses once is finished all the same', async () => {
    let calls = 0;
    host.tool = (args, proceed) =>
      args.includes('-a') && ++calls === 2 ? { code: null, stdout: '', stderr: 'killed' } : proceed();
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(present()).toBe('first first');
    expect(host.toolCalls).toContain('check -q -r all');
  });

  test('that one disk always refuses is held', async () => {
    let calls = 0;
    host.tool = (args, proceed) =>
      args.includes('-a') && ++calls > 1
        ? { code: 1, stdout: '', stderr: 'qemu-img: Could not apply snapshot: Input/output error' }
        : proceed();
    const { end, report } = await book.load(snapshotId);
    expect(end).toBe('held: refused-by-qemu');
    expect(report).toMatchObject({ failed: { message: expect.stringContaining('nb-dev') } });
  });

  test('that finds the machine started by then is undone', async () => {
    host.tool = (args, proceed) => {
      if (args.includes('-a') && !host.qemu) host.boot();
      return proceed();
    };
    expect((await book.load(snapshotId)).end).toBe('undone: machine-busy');
    expect(host.qemu?.runState).toBe('running');
  });

  test('half-way through which the machine starts stops it and is held', async () => {
    let calls = 0;
    host.tool = (args, proceed) => {
      const finished = proceed();
      if (args.includes('-a') && ++calls === 1) host.boot();
      return finished;
    };
    expect((await book.load(snapshotId)).end).toBe('held: needs-power-off');
    expect(host.qemu?.runState).toBe('paused');
    host.die();
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(book.vm.hold).toBeNull();
  });

  test('cut short by the death of its worker is finished by the next one, after a repair', async () => {
    host.fault = (name) =>
      name === 'hypervisor.after-image' ? new Promise(() => undefined) : Promise.resolve();
    void book.load(snapshotId);
    await host.world.clock.sleep(1);
    expect(present()).toBe('first later');
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).end).toBe('loaded');
    expect(present()).toBe('first first');
    expect(host.toolCalls.filter((call) => call === 'check -q -r all')).toHaveLength(2);
  });
});

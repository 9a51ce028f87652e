/* Does a load on a machine that is on leave all disks and the memory at the snapshot, or none, or a machine that stands still? */
import { tagOf } from '#ledger';
import { fakeRefusal, fakeSilence } from '#qmp';
import { beforeEach, describe, expect, test } from 'vitest';
import { putTag } from './fake-image.ts';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

describe('a load of a machine with its memory', () => {
  let stage: Stage;
  let host: Stage['host'];
  let book: Stage['book'];
  let qemu: Stage['qemu'];
  let snapshotId: string;

  /** What both disks hold, and whether the machine runs. */
  const present = (): string =>
    [host.image('a').content, host.image('b').content, host.qemu?.runState].join(' ');
  const sent = (): string[] => qemu.commands.slice(2);

  beforeEach(async () => {
    stage = await running();
    ({ host, book, qemu } = stage);
    ({ snapshotId } = await book.create());
    host.image('a').content = 'later';
    host.image('b').content = 'later';
  });

  test('is one job, after which a machine that ran runs', async () => {
    const { end, report } = await book.load(snapshotId);
    expect(end).toBe('loaded');
    expect(report).toMatchObject({ loaded: { runs: true } });
    expect(present()).toBe('first first running');
    expect(sent()).toEqual(['stop', 'snapshot-load', 'job-dismiss', 'cont']);
    expect(book.events.map(({ type }) => type).slice(-2)).toEqual(['ContentLoaded', 'SnapshotLoaded']);
    expect(qemu.monitor.received.find(({ command }) => command === 'snapshot-load')?.args).toMatchObject({
      tag: tagOf(snapshotId),
      vmstate: 'nb',
      devices: ['na', 'nb'],
    });
  });

  test('stops a machine that is to stand still before it is loaded, not after', async () => {
    expect((await book.load(snapshotId, { resume: 'paused' })).report).toMatchObject({
      loaded: { runs: false },
    });
    expect(present()).toBe('first first paused');
    expect(sent()).toEqual(['stop', 'snapshot-load', 'job-dismiss']);
  });

  test('lets a paused machine run when it was captured running', async () => {
    qemu.runState = 'paused';
    expect((await book.load(snapshotId)).report).toMatchObject({ loaded: { runs: true } });
    expect(sent()).toEqual(['snapshot-load', 'job-dismiss', 'cont']);
  });

  test('leaves a machine standing that was captured standing', async () => {
    qemu.runState = 'paused';
    const { snapshotId: still } = await book.create();
    qemu.runState = 'running';
    expect((await book.load(still)).report).toMatchObject({ loaded: { runs: false } });
    expect(host.qemu?.runState).toBe('paused');
  });

  test.each([
    ['a tag is missing on one disk', () => host.image('a').tags.pop(), 'snapshot-damaged'],
    ['a tag stands twice on one disk', () => putTag(host.image('a'), tagOf(snapshotId)), 'snapshot-damaged'],
    ['another snapshot bears the tag as its id', () => bearTagAsId(), 'snapshot-damaged'],
    ['no disk has the memory', () => forgetMemory(), 'snapshot-damaged'],
    ['a disk has a dirty bitmap', () => void (host.image('b').hasBitmaps = true), 'not-loadable'],
    ['a job runs', () => qemu.jobs.push({ id: 'x', type: 'stream', status: 'running' }), 'machine-busy'],
    ['the machine comes in by migration', () => void (qemu.runState = 'inmigrate'), 'machine-busy'],
    ['the guest has powered off', () => void (qemu.runState = 'shutdown'), 'needs-power-on'],
    ['a disk is gone', () => qemu.drives.pop(), 'config-mismatch'],
    ['a disk has come', () => plugIn(), 'config-mismatch'],
  ])('touches nothing when %s', async (_, spoil, reason) => {
    spoil();
    expect((await book.load(snapshotId)).end).toBe(`undone: ${reason}`);
    expect(sent()).toEqual([]);
  });

  const bearTagAsId = (): void => {
    host.image('a').tags.push({ id: tagOf(snapshotId), name: 'x', memoryBytes: 0, content: 'wrong' });
  };
  const forgetMemory = (): void => {
    const { image } = qemu.drives[1] ?? {};
    if (image) image.tags = image.tags.map((tag) => ({ ...tag, memoryBytes: 0 }));
  };
  const plugIn = (): void => {
    qemu.drives.push({ node: 'nc', file: '/images/c', image: { ...host.image('a'), tags: [] } });
  };

  test('of disks only lets it run on when QEMU does not let go of the first image', async () => {
    expect((await book.load(snapshotId, { disksOnly: true })).end).toBe('undone: refused-by-qemu');
    expect(qemu.runState).toBe('running');
  });

  test('that QEMU gives up before it begins lets the machine run on', async () => {
    qemu.interfere('snapshot-load', (args) => {
      qemu.runState = 'restore-vm';
      const error = `Snapshot '${String(args['tag'])}' does not exist in one or more devices`;
      qemu.jobs.push({ id: String(args['job-id']), type: 'snapshot-load', status: 'concluded', error });
    });
    expect((await book.load(snapshotId)).end).toBe('undone: snapshot-damaged');
    expect(present()).toBe('later later running');
  });

  test('that tears the disks is repeated, and only then the machine runs', async () => {
    let attempts = 0;
    qemu.interfere('snapshot-load', (args, proceed) => {
      if (++attempts > 1) return proceed();
      qemu.runState = 'restore-vm';
      host.image('a').content = 'first';
      const error = "Could not load snapshot 'x' on 'nb': Failed to load snapshot: Input/output error";
      qemu.jobs.push({ id: String(args['job-id']), type: 'snapshot-load', status: 'concluded', error });
      return {};
    });
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(present()).toBe('first first running');
    expect(sent()).toEqual(['stop', 'snapshot-load', 'job-dismiss', 'snapshot-load', 'job-dismiss', 'cont']);
  });

  test('that always tears the disks is held, and the machine never runs', async () => {
    qemu.interfere('snapshot-load', (args) => {
      if (qemu.runState === 'running') qemu.runState = 'restore-vm';
      const error = 'Error -22 while loading VM state';
      qemu.jobs.push({ id: String(args['job-id']), type: 'snapshot-load', status: 'concluded', error });
    });
    expect((await book.load(snapshotId)).end).toBe('held: config-mismatch');
    expect(sent().filter((command) => command === 'snapshot-load')).toHaveLength(4);
    expect(sent()).not.toContain('cont');
    expect(book.vm.current).toEqual({ id: snapshotId, confidence: 'unknown' });
  });

  test('the words of an untouched load do not count once a disk may be torn', async () => {
    let attempts = 0;
    qemu.interfere('snapshot-load', (args) => {
      qemu.runState = 'restore-vm';
      const error = ++attempts === 1 ? "Could not load snapshot 'x' on 'nb': x" : "No block device node 'nb'";
      qemu.jobs.push({ id: String(args['job-id']), type: 'snapshot-load', status: 'concluded', error });
    });
    expect((await book.load(snapshotId)).end).toBe('held: refused-by-qemu');
    expect(sent()).not.toContain('cont');
  });

  test.each([
    "Could not load snapshot 'x' on 'nb': Operation not supported",
    "Could not load snapshot 'x' on 'nb': Failed to load snapshot: No such file or directory",
    'Error -22 while loading VM state',
    'something that QEMU never said before',
  ])('of which QEMU says %j may have torn the disks', async (error) => {
    let attempts = 0;
    qemu.interfere('snapshot-load', (args, proceed) => {
      if (++attempts > 1) return proceed();
      qemu.runState = 'restore-vm';
      qemu.jobs.push({ id: String(args['job-id']), type: 'snapshot-load', status: 'concluded', error });
      return {};
    });
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(attempts).toBe(2);
  });

  test('whose answer is lost is done when its job says so', async () => {
    qemu.interfere('snapshot-load', (_, proceed, call) => {
      proceed();
      call.hangUp();
      return fakeSilence;
    });
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(sent().filter((command) => command === 'snapshot-load')).toHaveLength(1);
  });

  test('whose answer is lost without a trace is repeated', async () => {
    let attempts = 0;
    qemu.interfere('snapshot-load', (_, proceed, call) => {
      if (++attempts > 1) return proceed();
      call.hangUp();
      return fakeSilence;
    });
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(present()).toBe('first first running');
    expect(sent()).toEqual(['stop', 'snapshot-load', 'snapshot-load', 'job-dismiss', 'cont']);
  });

  test('in which QEMU dies waits for the machine with its images repaired, then is repeated', async () => {
    qemu.interfere('snapshot-load', () => {
      host.image('a').content = 'first';
      host.die();
      return fakeSilence;
    });
    host.image('a').health = 2;
    const asked = book.load(snapshotId);
    await expect(asked).rejects.toMatchObject({ name: 'NotNow', reason: 'machine-gone' });
    expect(host.image('a').health).toBe(0);
    const repairs = (): number => host.toolCalls.filter((call) => call === 'check -q -r all').length;
    expect(repairs()).toBe(2);
    const calls = host.toolCalls.length;
    await expect(book.work()).rejects.toMatchObject({ name: 'NotNow', reason: 'machine-gone' });
    expect(host.toolCalls).toHaveLength(calls); // Somebody may be starting it: its images are left alone.

    const reborn = host.boot();
    expect(outcomeOf(await book.work()).end).toBe('loaded');
    expect(present()).toBe('first first running');
    expect(reborn.commands).toEqual(['stop', 'snapshot-load', 'job-dismiss', 'cont']);
  });

  test('in which QEMU dies and an image cannot be repaired is held', async () => {
    qemu.interfere('snapshot-load', () => {
      Object.assign(host.image('b'), { health: 2, isBeyondRepair: true });
      host.die();
      return fakeSilence;
    });
    expect((await book.load(snapshotId)).end).toBe('held: machine-gone');
    expect(book.vm.hold?.leftovers).toMatchObject([{ device: 'nb-dev', tag: '' }]);
  });

  test('that QEMU has done and then will not let run is done, and says that it stands', async () => {
    qemu.runState = 'paused';
    qemu.interfere('cont', () => fakeRefusal('Resetting the Virtual Machine is required'));
    expect((await book.load(snapshotId)).report).toMatchObject({ loaded: { runs: false } });
    expect(sent()).toEqual(['snapshot-load', 'job-dismiss', 'cont']);
  });

  test('begun by a worker that died is not repeated when its job says that it is done', async () => {
    host.fault = (name) =>
      name === 'hypervisor.before-act' ? new Promise(() => undefined) : Promise.resolve();
    void book.load(snapshotId);
    await host.world.clock.sleep(1);
    await stage.hypervisor.close();
    qemu.jobs.push({ id: `j-${book.vm.operation?.id ?? ''}`, type: 'snapshot-load', status: 'concluded' });
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).end).toBe('loaded');
    expect(sent()).toEqual(['stop', 'job-dismiss', 'cont']);
  });

  test('is recorded before the machine may run on it', async () => {
    let isRecorded = false;
    qemu.interfere('cont', (_, proceed) => {
      isRecorded = book.events.at(-1)?.type === 'ContentLoaded';
      return proceed();
    });
    expect((await book.load(snapshotId)).end).toBe('loaded');
    expect(isRecorded).toBe(true);
  });

  test('whose QEMU has died and come back before it was recorded is done in the new one', async () => {
    qemu.interfere('job-dismiss', (_, proceed) => {
      qemu.interfere('query-status', () => {
        host.die();
        host.boot();
        return fakeSilence;
      });
      return proceed();
    });
    await expect(book.load(snapshotId)).rejects.toMatchObject({ name: 'NotNow', reason: 'machine-gone' });
    expect(book.events.at(-1)?.type).not.toBe('ContentLoaded');
    expect(outcomeOf(await book.work()).end).toBe('loaded');
    expect(host.qemu?.commands).toEqual(['stop', 'snapshot-load', 'job-dismiss', 'cont']);
  });

  test('whose QEMU dies when it is let run lets none run that has come in its place and was not looked at', async () => {
    qemu.interfere('cont', () => {
      host.die();
      host.boot().runState = 'paused';
      return fakeSilence;
    });
    await expect(book.load(snapshotId)).rejects.toMatchObject({ name: 'NotNow', reason: 'machine-gone' });
    expect(book.events.at(-1)?.type).toBe('ContentLoaded');
    expect(host.qemu?.commands).toEqual([]);
    expect(outcomeOf(await book.work()).end).toBe('loaded');
  });

  test('that is recorded is not done again, whatever the guest has written since', async () => {
    book.askLoad(snapshotId);
    const vm = book.seen();
    if (vm.operation) await stage.hypervisor.carryOut(vm, vm.operation, book.journal()); // Nobody hears of it.
    host.image('a').content = 'written since';
    await stage.hypervisor.close();
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).end).toBe('loaded');
    expect(present()).toBe('written since first running');
  });

  test('that is recorded is over when QEMU has died since, and its images are repaired', async () => {
    book.askLoad(snapshotId);
    const vm = book.seen();
    if (vm.operation) await stage.hypervisor.carryOut(vm, vm.operation, book.journal());
    host.image('a').content = 'written since';
    host.image('a').health = 2;
    host.die();
    await stage.hypervisor.close();
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).report).toMatchObject({ loaded: { runs: false } });
    expect([host.image('a').content, host.image('a').health]).toEqual(['written since', 0]);
  });
});

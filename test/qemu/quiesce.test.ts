/* Is the guest frozen for the capture, and thawed whatever happens? */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Notebook } from '../hypervisor/notebook.ts';
import { closeAgents, type Manner, startAgent, type TestAgent } from './guest-agent.ts';
import { finish, type Successor, successor } from './haste.ts';
import { type House, house } from './house.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);
afterAll(closeAgents);

interface Guarded extends Successor {
  readonly home: House;
  readonly agent: TestAgent;
  /** Whether the guest was frozen when this point was last passed. */
  readonly frozenAt: Map<string, boolean>;
}

/** A machine that runs, and an agent in its guest. */
async function guarded(manner: Manner = 'freezes'): Promise<Guarded> {
  const home = await house();
  const agent = await startAgent(join(home.dir, 'agent.sock'));
  agent.manner = manner;
  home.book.handle({ type: 'ChangeVm', change: { guestAgent: agent.path } });
  const frozenAt = new Map<string, boolean>();
  const worker = await successor(home, async (point) => void frozenAt.set(point, agent.isFrozen));
  return { home, agent, ...worker, frozenAt };
}

async function create(book: Notebook, quiesce: 'try' | 'require') {
  const snapshotId = book.ask({ diskOnly: true, quiesce });
  return { snapshotId, ...(await finish(book)) };
}

describe.runIf(needsQemu())('a guest', () => {
  test('is frozen for the capture and thawed after it', async () => {
    const { home, agent, book, frozenAt } = await guarded();
    const { snapshotId, end, report } = await create(book, 'require');
    expect(end).toBe('created');
    expect(report).toMatchObject({
      created: {
        consistency: 'filesystem',
        quiesce: { asked: 'require', achieved: 'filesystem', filesystems: 2 },
        steps: [
          { name: 'freeze the file systems of the guest', state: 'done' },
          { name: 'capture all disks in one transaction', state: 'done' },
          { name: 'thaw the file systems of the guest', state: 'done' },
        ],
      },
    });
    expect(frozenAt.get('hypervisor.after-freeze')).toBe(true);
    expect(frozenAt.get('hypervisor.before-thaw')).toBe(true);
    expect(agent.isFrozen).toBe(false);
    expect(agent.asked).toEqual(['status', 'freeze', 'thaw']);
    expect(home.tags()).toEqual(home.tagsOf(snapshotId));
  });

  test.each(['refuses', 'hangs', 'is late', 'dies', 'thaws by itself', 'finds nothing'] as const)(
    'whose agent %s is captured as it is when the freeze is only tried, and is not left frozen',
    async (manner) => {
      const { agent, book } = await guarded(manner);
      const { end, report } = await create(book, 'try');
      expect(end).toBe('created');
      expect(report).toMatchObject({
        created: {
          consistency: 'crash',
          quiesce: { asked: 'try', achieved: 'none', why: expect.any(String) },
        },
      });
      if (manner !== 'dies') expect(agent.isFrozen).toBe(false);
    },
  );

  test.each(['refuses', 'hangs', 'is late', 'dies', 'thaws by itself', 'finds nothing'] as const)(
    'whose agent %s is not captured when the freeze is required, and is not left frozen',
    async (manner) => {
      const { home, agent, book } = await guarded(manner);
      expect((await create(book, 'require')).end).toBe('undone: no-guest-agent');
      expect(home.tags()).toEqual(home.tagsOf());
      expect(book.vm.hold).toBeNull();
      if (manner !== 'dies') expect(agent.isFrozen).toBe(false);
    },
  );

  test('that freezes more slowly than anybody waits does not stay frozen', async () => {
    const { agent, book } = await guarded('is slow');
    expect((await create(book, 'try')).end).toBe('created');
    expect(agent.asked).toEqual(['status', 'freeze']);
    await expect.poll(() => agent.asked, { timeout: 10_000 }).toContain('thaw');
    expect(agent.isFrozen).toBe(false);
  });

  test('that was not frozen all the time takes a copy along that would go on for ever', async () => {
    const { home, book } = await guarded('thaws by itself');
    const target = join(home.dir, 'copy.qcow2');
    const backups = [
      {
        device: 'dev-da',
        target,
        format: 'qcow2',
        sync: 'none' as const,
        fileMode: 'absolute-paths' as const,
      },
    ];
    book.ask({ diskOnly: true, quiesce: 'require', backups });
    expect((await finish(book)).end).toBe('undone: no-guest-agent');
    expect(existsSync(target)).toBe(false);
    expect(await home.jobsLeft()).toEqual([]);
  });

  test('without anybody in it who answers is not touched when the freeze is required', async () => {
    const { home, agent, book } = await guarded();
    agent.isSilent = true;
    expect((await create(book, 'require')).end).toBe('undone: no-guest-agent');
    expect(book.events.map(({ type }) => type)).not.toContain('OperationStarted');
    await agent.close();
    expect((await create(book, 'require')).end).toBe('undone: no-guest-agent');
    expect((await create(book, 'try')).report).toMatchObject({
      created: { quiesce: { achieved: 'none', why: expect.stringContaining('no guest agent listens') } },
    });
    expect(home.tags().join('').split('sl-')).toHaveLength(3);
  });

  test('that somebody else has frozen is not ours to thaw', async () => {
    const { agent, book } = await guarded();
    agent.isFrozen = true;
    expect((await create(book, 'require')).end).toBe('undone: no-guest-agent');
    expect((await create(book, 'try')).end).toBe('created');
    expect(agent.isFrozen).toBe(true);
    expect(agent.asked).not.toContain('thaw');
  });

  test('that cannot be thawed is told of, and the snapshot is not trusted more than it may', async () => {
    const { agent, book } = await guarded();
    agent.isStuck = true;
    expect((await create(book, 'try')).report).toMatchObject({
      created: {
        consistency: 'crash',
        quiesce: { achieved: 'none', why: expect.stringContaining('may still be frozen') },
      },
    });
  });

  test('that is paused or off cannot freeze; one that is off need not', async () => {
    const { home, agent, book } = await guarded();
    await home.vm.monitor.execute('stop');
    expect((await create(book, 'require')).end).toBe('undone: no-guest-agent');
    await home.vm.stop();
    expect((await create(book, 'require')).report).toMatchObject({
      created: { consistency: 'offline', quiesce: { asked: 'require', achieved: 'none' } },
    });
    expect(agent.asked).toEqual([]);
  });

  test('whose memory is captured with its disks is not frozen', async () => {
    const { agent, book } = await guarded();
    expect((await book.create({ quiesce: 'try' })).report).toMatchObject({
      created: { consistency: 'memory', quiesce: { achieved: 'none' } },
    });
    expect(agent.asked).toEqual([]);
  });
});

const DEATHS = ['before-freeze', 'after-freeze', 'after-act', 'before-thaw', 'after-thaw'] as const;

describe.runIf(needsQemu())('a worker that dies', () => {
  test.each(DEATHS.flatMap((point) => [[point, 'try'] as const, [point, 'require'] as const]))(
    '%s (%s) leaves a guest that its successor thaws first',
    async (point, quiesce) => {
      const { home, agent, hypervisor } = await guarded();
      await hypervisor.close();
      const { promise: death, resolve: die } = Promise.withResolvers<void>();
      const first = await successor(home, (passed) => {
        if (passed !== `hypervisor.${point}`) return Promise.resolve();
        die();
        return new Promise(() => undefined);
      });
      first.book.ask({ diskOnly: true, quiesce });
      void first.book.work();
      await death;
      await first.hypervisor.close();
      const frozenAt = new Map<string, boolean>();
      const heir = await successor(home, async (passed) => void frozenAt.set(passed, agent.isFrozen));
      const { end } = await finish(first.book.heir(heir.hypervisor));
      expect(agent.isFrozen).toBe(false);
      expect([...frozenAt].find(([passed]) => passed === 'hypervisor.before-look')?.[1]).toBe(false);
      const isTaken = ['after-act', 'before-thaw', 'after-thaw'].includes(point);
      const isKnown = point === 'before-thaw';
      const wanted = !isTaken
        ? 'undone: host-unreachable'
        : quiesce === 'try' || isKnown
          ? 'created'
          : 'undone: no-guest-agent';
      expect(end).toBe(wanted);
    },
  );

  test.each(['always', 'until the undo'])(
    'leaves a guest that cannot be thawed (%s), which is tried again, or told of',
    async (howLong) => {
      const { home, agent, hypervisor } = await guarded();
      await hypervisor.close();
      const { promise: death, resolve: die } = Promise.withResolvers<void>();
      const first = await successor(home, (passed) => {
        if (passed !== 'hypervisor.after-freeze') return Promise.resolve();
        die();
        return new Promise(() => undefined);
      });
      first.book.ask({ diskOnly: true, quiesce: 'try' });
      void first.book.work();
      await death;
      await first.hypervisor.close();
      agent.isStuck = true;
      const heir = await successor(home, async (passed) => {
        if (howLong !== 'always' && passed === 'hypervisor.before-undo') agent.isStuck = false;
      });
      const { end, report } = await finish(first.book.heir(heir.hypervisor));
      expect(end).toBe('undone: host-unreachable');
      expect(agent.isFrozen).toBe(howLong === 'always');
      expect(JSON.stringify(report).includes('may still be frozen')).toBe(howLong === 'always');
    },
  );
});

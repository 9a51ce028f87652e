/* Does a create on a running machine take every disk or none, whatever QEMU answers and whenever it dies? */
import { Fenced, NotNow } from '#hypervisor';
import { tagOf } from '#ledger';
import { fakeRefusal, fakeSilence } from '#qmp';
import { beforeEach, describe, expect, test } from 'vitest';
import { putTag } from './fake-image.ts';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

describe('a create on a running machine', () => {
  let host: Stage['host'];
  let hypervisor: Stage['hypervisor'];
  let book: Stage['book'];
  let qemu: Stage['qemu'];

  beforeEach(async () => {
    ({ host, hypervisor, book, qemu } = await running());
  });

  test('without memory is one transaction over all disks', async () => {
    const { snapshotId, end, report } = await book.create({ diskOnly: true });
    const tag = tagOf(snapshotId);
    expect(end).toBe('created');
    expect(host.tags).toBe(`a: ${tag}, b: ${tag}`);
    expect(qemu.commands).toEqual(['transaction']);
    expect(report).toMatchObject({
      created: {
        vmState: 'running',
        memory: { mode: 'none' },
        consistency: 'crash',
        evidence: [
          { device: 'na-dev', file: '/images/a', tag, nativeId: '1', vmStateSizeBytes: 0 },
          { device: 'nb-dev', file: '/images/b', tag, nativeId: '1', vmStateSizeBytes: 0 },
        ],
        steps: [{ name: 'capture all disks in one transaction', state: 'done' }],
      },
    });
  });

  test('with memory is one job, and the memory goes into the last disk', async () => {
    const { end, report } = await book.create();
    expect(end).toBe('created');
    expect(report).toMatchObject({
      created: { memory: { mode: 'internal', device: 'nb-dev', sizeBytes: 4096 }, consistency: 'memory' },
    });
    expect(qemu.commands).toEqual(['snapshot-save', 'job-dismiss']);
    expect(qemu.jobs).toEqual([]);
  });

  test('the intent and its undo are durable before QEMU is told', async () => {
    const seen: string[][] = [];
    book.ask({ diskOnly: true });
    const { begin } = book.journal();
    await book.work({
      begin: async (start) => {
        seen.push(qemu.commands, [...start.undo]);
        await begin(start);
      },
    });
    const tag = tagOf(book.vm.current.id ?? '');
    expect(seen).toEqual([[], [`remove ${tag} from na-dev`, `remove ${tag} from nb-dev`]]);
  });

  test('whoever is fenced off never touches QEMU', async () => {
    book.ask();
    await expect(book.work({ begin: () => Promise.reject(new Fenced('not yours')) })).rejects.toBeInstanceOf(
      Fenced,
    );
    expect(qemu.commands).toEqual([]);
  });

  test('that QEMU refuses is undone, in its own words', async () => {
    qemu.interfere('transaction', () =>
      fakeRefusal("Failed to create snapshot 'x' on device 'nb': No space left on device"),
    );
    const { end, report } = await book.create({ diskOnly: true });
    expect(end).toBe('undone: no-space');
    expect(report).toMatchObject({ failed: { message: expect.stringContaining('No space left on device') } });
    expect(host.toolCalls).toContain('info -U'); // What QEMU lists may hide what the file still has.
  });

  test('whose job fails is undone by what the job says', async () => {
    qemu.interfere('snapshot-save', ({ 'job-id': id }) => {
      const error = "State blocked by non-migratable device '0000:00:03.0/nvme'";
      qemu.jobs.push({ id: String(id), type: 'snapshot-save', status: 'concluded', error });
    });
    expect((await book.create()).end).toBe('undone: unsupported');
  });

  test('of which a refusal leaves a part is taken back everywhere', async () => {
    qemu.interfere('transaction', ({ actions }) => {
      const [first] = actions as { data: { name: string } }[];
      putTag(host.image('a'), first?.data.name ?? '');
      return fakeRefusal('Transaction aborted using Abort action');
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: refused-by-qemu');
    expect(host.tags).toBe('a: , b: ');
  });

  test('that QEMU calls done and did only in part is a failure', async () => {
    qemu.interfere('transaction', (_, proceed) => {
      proceed();
      host.image('b').tags = [];
      return {};
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: refused-by-qemu');
    expect(host.tags).toBe('a: , b: ');
  });

  test('that QEMU calls refused and yet did is a success', async () => {
    qemu.interfere('transaction', (_, proceed) => {
      proceed();
      return fakeRefusal('whatever');
    });
    expect((await book.create({ diskOnly: true })).end).toBe('created');
  });

  test('whose answer is lost is done if the disks say so', async () => {
    qemu.interfere('transaction', (_, proceed, call) => {
      proceed();
      call.hangUp();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('created');
  });

  test('whose answer is lost is not done if the disks say so', async () => {
    qemu.interfere('transaction', (_, __, call) => {
      call.hangUp();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: host-unreachable');
  });

  test('whose answer does not come in time is done if the disks say so', async () => {
    qemu.interfere('transaction', (_, proceed) => {
      proceed();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('created');
  });

  test('waits for a QEMU that hangs, and ends when it answers again', async () => {
    const { promise: answers, resolve: answer } = Promise.withResolvers<void>();
    qemu.interfere('transaction', async (_, proceed) => {
      await answers;
      return proceed();
    });
    book.ask({ diskOnly: true });
    await expect(book.work()).rejects.toMatchObject({ name: 'NotNow', reason: 'host-unreachable' });
    answer();
    expect(outcomeOf(await book.work()).end).toBe('created');
  });

  test('is never taken from a machine that died meanwhile', async () => {
    qemu.interfere('transaction', () => {
      host.die();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: machine-gone');
    expect(host.toolCalls.filter((call) => call.startsWith('snapshot'))).toEqual([]);
  });

  test('is never taken from a machine that died after it was first seen', async () => {
    qemu.interfere('query-block', () => {
      host.die();
      return fakeSilence;
    });
    book.ask({ diskOnly: true });
    await expect(book.work()).rejects.toBeInstanceOf(NotNow);
    expect(outcomeOf(await book.work()).end).toBe('undone: machine-gone');
  });

  test('that a death leaves half-done is taken back and the images repaired, once the machine is really off', async () => {
    qemu.interfere('transaction', ({ actions }) => {
      const [first] = actions as { data: { name: string } }[];
      putTag(host.image('a'), first?.data.name ?? '');
      host.image('a').health = 2;
      host.image('b').health = 3;
      host.die();
      return fakeSilence;
    });
    const before = host.world.clock.monotonic();
    expect((await book.create({ diskOnly: true })).end).toBe('undone: machine-gone');
    expect(host.tags).toBe('a: , b: ');
    expect(host.toolCalls.filter((call) => call.startsWith('check'))).toEqual([
      'check -q',
      'check -q -r all',
      'check -q',
      'check -q -r leaks',
    ]);
    expect(host.world.clock.monotonic() - before).toBeGreaterThanOrEqual(3_000);
  });

  test('that a death leaves complete is a success', async () => {
    qemu.interfere('transaction', (_, proceed) => {
      proceed();
      host.die();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('created');
  });

  test('with memory is not complete while no disk has the memory', async () => {
    qemu.interfere('snapshot-save', ({ tag }) => {
      putTag(host.image('a'), String(tag));
      putTag(host.image('b'), String(tag));
      host.die();
      return fakeSilence;
    });
    expect((await book.create()).end).toBe('undone: machine-gone');
    expect(host.tags).toBe('a: , b: ');
  });

  test('does not repair under a machine that is coming back', async () => {
    qemu.interfere('transaction', () => {
      host.die();
      void host.world.clock.sleep(1_200).then(() => host.boot());
      return fakeSilence;
    });
    book.ask({ diskOnly: true });
    await expect(book.work()).rejects.toBeInstanceOf(NotNow);
    expect(host.toolCalls.filter((call) => call.startsWith('check'))).toEqual([]);
    expect(outcomeOf(await book.work()).end).toBe('undone: host-unreachable');
  });

  test('that cannot be taken back is held, and the leftovers are named', async () => {
    qemu.interfere('transaction', (_, proceed) => {
      proceed();
      host.image('b').tags = [];
      return {};
    });
    qemu.interfere('blockdev-snapshot-delete-internal-sync', () =>
      fakeRefusal('Failed to remove snapshot from snapshot list: Input/output error'),
    );
    const { snapshotId, end } = await book.create({ diskOnly: true });
    expect(end).toBe('held: refused-by-qemu');
    expect(book.vm.hold?.leftovers).toEqual([
      {
        device: 'na-dev',
        file: '/images/a',
        tag: tagOf(snapshotId),
        why: 'Failed to remove snapshot from snapshot list: Input/output error',
      },
    ]);
    qemu.behave('blockdev-snapshot-delete-internal-sync');
    expect(await hypervisor.removeLeftovers(book.vm)).toMatchObject([{ device: 'na-dev' }]);
    expect(host.tags).toBe('a: , b: ');
  });

  test('whose rollback failed is held by what only the file shows, until the machine is off', async () => {
    qemu.interfere('transaction', ({ actions }) => {
      const tag = (actions as { data: { name: string } }[])[0]?.data.name ?? '';
      putTag(host.image('a'), tag);
      host.image('a').hidden.add(tag);
      return fakeRefusal('Transaction aborted using Abort action');
    });
    expect((await book.create({ diskOnly: true })).end).toBe('held: refused-by-qemu');
    expect(book.vm.hold?.leftovers[0]?.why).toContain('the file still has it');
    expect(await hypervisor.removeLeftovers(book.vm)).toEqual([]);
    host.die();
    expect(await hypervisor.removeLeftovers(book.vm)).toMatchObject([{ device: 'na-dev' }]);
    expect(host.tags).toBe('a: , b: ');
  });
});

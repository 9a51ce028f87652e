/* Does a create on a running machine take every disk or none, whatever QEMU answers? */
import { Fenced } from '#hypervisor';
import { tagOf } from '#ledger';
import { fakeRefusal, fakeSilence } from '#qmp';
import { beforeEach, describe, expect, test } from 'vitest';
import { putTag } from './fake-image.ts';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

/** The tag that a transaction is to put on every disk. */
const tagIn = (actions: unknown): string => (actions as { data: { name: string } }[])[0]?.data.name ?? '';

describe('a create on a running machine', () => {
  let host: Stage['host'];
  let book: Stage['book'];
  let qemu: Stage['qemu'];

  beforeEach(async () => {
    ({ host, book, qemu } = await running());
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
      putTag(host.image('a'), tagIn(actions));
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

  // That a connection breaks says nothing of the machine behind it, and here it runs.
  test('whose answer is lost is not done if the disks say so, and the machine is not called gone', async () => {
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

  test('that stands twice on one disk is not complete', async () => {
    qemu.interfere('transaction', ({ actions }, proceed) => {
      putTag(host.image('b'), tagIn(actions));
      return proceed();
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: refused-by-qemu');
    expect(host.tags).toBe('a: , b: ');
  });
});

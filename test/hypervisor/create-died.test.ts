/* Does a create take every disk or none when QEMU dies in it, and is what it leaves taken back? */
import { NotNow } from '#hypervisor';
import { tagOf } from '#ledger';
import { fakeRefusal, fakeSilence } from '#qmp';
import { beforeEach, describe, expect, test } from 'vitest';
import { putTag } from './fake-image.ts';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

/** The tag that a transaction is to put on every disk. */
const tagIn = (actions: unknown): string => (actions as { data: { name: string } }[])[0]?.data.name ?? '';

const awayFromStore = (): Promise<never> => Promise.reject(new Error('the store is away'));

describe('a create', () => {
  let host: Stage['host'];
  let hypervisor: Stage['hypervisor'];
  let book: Stage['book'];
  let qemu: Stage['qemu'];

  beforeEach(async () => {
    ({ host, hypervisor, book, qemu } = await running());
  });

  test('is never taken from a machine that died meanwhile', async () => {
    qemu.interfere('transaction', () => {
      host.die();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: machine-gone');
    expect(host.toolCalls.filter((call) => call.startsWith('snapshot'))).toEqual([]);
  });

  test('is never taken from a machine that died before the intent was durable', async () => {
    book.ask({ diskOnly: true });
    await expect(book.work({ begin: awayFromStore })).rejects.toThrow('the store is away');
    host.die();
    expect(outcomeOf(await book.work()).end).toBe('undone: machine-gone');
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
      putTag(host.image('a'), tagIn(actions));
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

  test('in which QEMU dies and is started anew at once is taken back through the new monitor', async () => {
    qemu.interfere('transaction', ({ actions }) => {
      putTag(host.image('a'), tagIn(actions));
      host.die();
      host.boot();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: machine-gone');
    expect(host.tags).toBe('a: , b: ');
    expect(host.qemu?.commands).toEqual(['blockdev-snapshot-delete-internal-sync']);
  });

  test('whose QEMU dies only when it is looked at again is repaired all the same', async () => {
    qemu.interfere('transaction', ({ actions }, _, call) => {
      putTag(host.image('a'), tagIn(actions));
      host.image('a').health = 2;
      qemu.interfere('query-status', () => {
        host.die();
        return fakeSilence;
      });
      call.hangUp();
      return fakeSilence;
    });
    expect((await book.create({ diskOnly: true })).end).toBe('undone: machine-gone');
    expect(host.tags).toBe('a: , b: ');
    const calls = host.toolCalls.filter((call) => !call.startsWith('info'));
    expect(calls.slice(0, 2)).toEqual(['check -q', 'check -q -r all']); // Before anything is removed.
    expect(host.image('a').health).toBe(0);
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

  test('that QEMU has forgotten on one disk is not complete, though every file has it', async () => {
    qemu.interfere('transaction', ({ actions }, proceed) => {
      proceed();
      host.image('a').hidden.add(tagIn(actions));
      return fakeRefusal('Transaction aborted using Abort action');
    });
    expect((await book.create({ diskOnly: true })).end).toBe('held: refused-by-qemu');
    expect(book.vm.hold?.leftovers).toMatchObject([{ device: 'na-dev' }]);
  });

  test('concludes nothing from an image that could not be read', async () => {
    qemu.interfere('transaction', ({ actions }) => {
      putTag(host.image('a'), tagIn(actions));
      host.image('a').hidden.add(tagIn(actions));
      return fakeRefusal('Transaction aborted using Abort action');
    });
    host.tool = () => ({ code: null, stdout: '', stderr: 'killed' });
    book.ask({ diskOnly: true });
    await expect(book.work()).rejects.toBeInstanceOf(NotNow);
    host.tool = (_, proceed) => proceed();
    expect(outcomeOf(await book.work()).end).toMatch(/^held/);
  });

  test('whose rollback failed is held by what only the file shows, until the machine is off', async () => {
    qemu.interfere('transaction', ({ actions }) => {
      const tag = tagIn(actions);
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

/* Does a delete take a snapshot off every disk, however often it is cut short? */
import { tagOf } from '#ledger';
import { fakeRefusal, fakeSilence } from '#qmp';
import { beforeEach, describe, expect, test } from 'vitest';
import { putTag } from './fake-image.ts';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

const DELETE = 'blockdev-snapshot-delete-internal-sync';

describe('a delete', () => {
  let stage: Stage;
  let host: Stage['host'];
  let book: Stage['book'];
  let qemu: Stage['qemu'];
  let kept: string;
  let unwanted: string;

  beforeEach(async () => {
    stage = await running();
    ({ host, book, qemu } = stage);
    ({ snapshotId: kept } = await book.create());
    ({ snapshotId: unwanted } = await book.create());
  });

  const onlyKept = (): string => `a: ${tagOf(kept)}, b: ${tagOf(kept)}`;

  test('on a running machine takes the tag off every disk and leaves the others', async () => {
    expect((await book.delete(unwanted)).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
    expect(qemu.commands.slice(4)).toEqual([DELETE, DELETE]);
  });

  test('of a whole subtree takes them all, each from every disk', async () => {
    expect((await book.delete(kept, 'discard-force')).end).toBe('deleted');
    expect(host.tags).toBe('a: , b: ');
  });

  test('on a machine that is off is done by qemu-img', async () => {
    host.die();
    expect((await book.delete(unwanted)).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
  });

  test('of what is gone already is a success', async () => {
    for (const letter of ['a', 'b']) host.image(letter).tags.pop();
    expect((await book.delete(unwanted)).end).toBe('deleted');
  });

  test('takes a tag that stands twice off twice', async () => {
    putTag(host.image('a'), tagOf(unwanted));
    expect((await book.delete(unwanted)).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
  });

  test('that a busy disk refuses for a while is finished', async () => {
    let calls = 0;
    qemu.interfere(DELETE, (_, proceed) => (++calls <= 2 ? fakeRefusal("Node 'na' is busy: x") : proceed()));
    expect((await book.delete(unwanted)).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
  });

  test('that every disk refuses is undone: each is what it was', async () => {
    qemu.interfere(DELETE, () => fakeRefusal("Node 'na' is busy: x"));
    expect((await book.delete(unwanted)).end).toBe('undone: machine-busy');
    expect(book.snapshot(unwanted).status).toBe('complete');
  });

  test('that one disk refuses for good is held, and the snapshot is suspect', async () => {
    qemu.interfere(DELETE, ({ device }, proceed) =>
      device === 'nb' ? fakeRefusal('Input/output error') : proceed(),
    );
    expect((await book.delete(unwanted)).end).toBe('held: refused-by-qemu');
    expect(book.snapshot(unwanted).status).toBe('suspect');
    expect(book.vm.hold?.leftovers).toEqual([
      { device: 'nb-dev', file: '/images/b', tag: tagOf(unwanted), why: 'Input/output error' },
    ]);
  });

  test('of what QEMU has forgotten and the file still has is held, not called done', async () => {
    host.image('b').hidden.add(tagOf(unwanted));
    expect((await book.delete(unwanted)).end).toBe('held: snapshot-damaged');
    expect(book.vm.hold?.leftovers).toMatchObject([{ device: 'nb-dev', tag: tagOf(unwanted) }]);
  });

  test('that makes QEMU forget a tag which the file keeps is not undone: its next write removes it', async () => {
    qemu.interfere(DELETE, ({ name }) => {
      for (const letter of ['a', 'b']) host.image(letter).hidden.add(String(name));
      return fakeRefusal('Failed to remove snapshot from snapshot list: Input/output error');
    });
    expect((await book.delete(unwanted)).end).toBe('held: refused-by-qemu');
    expect(book.snapshot(unwanted).status).toBe('suspect');
  });

  test('in which QEMU dies is finished on the repaired images', async () => {
    qemu.interfere(DELETE, (_, proceed) => {
      proceed();
      host.image('a').health = 3;
      host.die();
      return fakeSilence;
    });
    expect((await book.delete(unwanted)).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
    expect(host.image('a').health).toBe(0);
  });

  test('cut short by the death of its worker is finished by the next one', async () => {
    host.fault = (name) =>
      name === 'hypervisor.after-removal' ? new Promise(() => undefined) : Promise.resolve();
    void book.delete(unwanted);
    await host.world.clock.sleep(1);
    expect(host.tags).toBe(`a: ${tagOf(kept)}, b: ${tagOf(kept)} ${tagOf(unwanted)}`);
    await stage.hypervisor.close();
    stage.succeed();
    expect(outcomeOf(await stage.book.work()).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
  });

  test('begins beside no job of somebody else', async () => {
    qemu.jobs.push({ id: 'x', type: 'backup', status: 'running' });
    expect((await book.delete(unwanted)).end).toBe('undone: machine-busy');
  });

  test('reaches a disk that was unplugged since', async () => {
    const [, drive] = qemu.drives;
    qemu.drives.pop();
    if (drive) drive.image.lockedBy = null;
    expect((await book.delete(unwanted)).end).toBe('deleted');
    expect(host.tags).toBe(onlyKept());
  });

  test('names a disk that was unplugged since and that another machine uses', async () => {
    qemu.drives.pop();
    host.image('b').lockedBy = 'another machine';
    expect((await book.delete(unwanted)).end).toBe('held: machine-busy');
    expect(book.vm.hold?.leftovers).toMatchObject([{ device: 'nb-dev', tag: tagOf(unwanted) }]);
  });

  test('refuses a disk that has become read-only', async () => {
    qemu.drives = qemu.drives.map((drive) => ({ ...drive, readOnly: drive.node === 'nb' }));
    expect((await book.delete(unwanted)).end).toBe('undone: disk-unsupported');
    expect(qemu.commands.slice(4)).toEqual([]);
  });
});

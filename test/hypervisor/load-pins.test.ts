/* What a load has saved of the present and cannot remove again: is it named, and does nobody take it for whole? */
import { tagOf } from '#ledger';
import { fakeRefusal } from '#qmp';
import { v7 } from 'uuid';
import { beforeEach, describe, expect, test } from 'vitest';
import { putTag } from './fake-image.ts';
import { running, type Stage } from './stage.ts';

describe('a load that saves the present', () => {
  let stage: Stage;
  let host: Stage['host'];
  let book: Stage['book'];
  let snapshotId: string;
  let pinId: string;

  const pin = () => ({ pin: { snapshotId: pinId, what: 'disks' as const } });
  const refuseRemoval = (node: string, id: string): void =>
    stage.qemu.interfere('blockdev-snapshot-delete-internal-sync', ({ device, name }, proceed) =>
      device === node && name === tagOf(id) ? fakeRefusal('Input/output error') : proceed(),
    );

  beforeEach(async () => {
    stage = await running();
    ({ host, book } = stage);
    ({ snapshotId } = await book.create());
    pinId = v7();
  });

  test('on a part of the disks only, and cannot take that back, names what is left', async () => {
    stage.qemu.interfere('transaction', () => {
      putTag(host.image('a'), tagOf(pinId));
      return fakeRefusal('No space left on device');
    });
    refuseRemoval('na', pinId);
    const { end, report } = await book.load(snapshotId, pin());
    expect(end, JSON.stringify(report)).toBe('held: no-space');
    expect(book.vm.hold?.leftovers).toEqual([
      { device: 'na-dev', file: '/images/a', tag: tagOf(pinId), why: 'Input/output error' },
    ]);
    stage.qemu.behave('blockdev-snapshot-delete-internal-sync');
    const gone = await stage.hypervisor.removeLeftovers(book.seen());
    expect(gone).toHaveLength(1);
    expect(host.tags).toBe(`a: ${tagOf(snapshotId)}, b: ${tagOf(snapshotId)}`);
  });

  test('names what is left of an earlier one that went on a part of the disks only', async () => {
    expect((await book.load(snapshotId, pin())).end).toBe('loaded');
    const earlier = pinId;
    pinId = v7();
    refuseRemoval('nb', earlier);
    const { end, report } = await book.load(snapshotId, pin());
    expect(end, JSON.stringify(report)).toBe('loaded');
    expect(book.vm.snapshots.has(earlier)).toBe(false);
    expect(book.vm.drift).toMatchObject([
      { kind: 'orphan', device: 'nb-dev', file: '/images/b', tag: tagOf(earlier) },
    ]);
    expect(host.tags).toBe(
      `a: ${[snapshotId, pinId].map(tagOf).join(' ')}, b: ${[snapshotId, earlier, pinId].map(tagOf).join(' ')}`,
    );
    const { findings } = await stage.hypervisor.survey(book.seen());
    expect(findings).toEqual(book.vm.drift);
  });

  test('keeps an earlier one whole of which nothing could be removed', async () => {
    expect((await book.load(snapshotId, pin())).end).toBe('loaded');
    const earlier = pinId;
    pinId = v7();
    refuseRemoval('na', earlier);
    expect((await book.load(snapshotId, pin())).end).toBe('loaded');
    expect(book.snapshot(earlier).status).toBe('complete');
    expect(book.vm.drift).toEqual([]);
    expect(host.tags).toBe(`a: ${all(earlier)}, b: ${all(earlier)}`);
  });

  const all = (earlier: string): string => [snapshotId, earlier, pinId].map(tagOf).join(' ');
});
test('lets go of an earlier pin that QEMU has forgotten, and tells what a file still has of it', async () => {
  const { book, host } = await running();
  const { snapshotId } = await book.create();
  const pin = { snapshotId: '01a1fe18-2458-7065-ae02-7e09d6935f31', what: 'disks' } as const;
  const later = { snapshotId: '01a1fe18-2458-7065-ae02-7e09d6935f32', what: 'disks' } as const;
  await book.load(snapshotId, { pin });
  host.image('a').hidden.add(tagOf(pin.snapshotId));
  expect((await book.load(snapshotId, { pin: later })).end).toBe('loaded');
  expect([...book.vm.snapshots.keys()]).toEqual([snapshotId, later.snapshotId]);
  const left = { kind: 'orphan', tag: tagOf(pin.snapshotId) };
  expect(book.vm.drift).toMatchObject([left, left]);
});

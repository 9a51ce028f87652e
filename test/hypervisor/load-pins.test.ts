/* What becomes of the pins of earlier loads? */
import { tagOf } from '#ledger';
import { expect, test } from 'vitest';
import { running } from './stage.ts';

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

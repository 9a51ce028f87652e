import { MemoryDisk, openMemoryStore } from '#event-store';
import { realWorld, type World } from '#world';
import { expect, test } from 'vitest';
import { openLedgers, streamOf } from './ledger.ts';
import { finishHalfDone, registerVm } from './registration.ts';

const VM = '00000000-0000-7000-8000-000000000001';
const asked = () => ({ actor: 'test', correlationId: 'test', request: {} });
const registration = {
  ...{ vmId: VM, name: 'vm', host: 'here', monitor: '/m', guestAgent: null, labels: {}, foreignTags: [] },
  disks: [
    { device: 'vda', node: 'a', format: 'qcow2', file: '/a', readOnly: false, default: 'internal' as const },
  ],
};

/** A process whose commits wait, from the second one on, until `goOn`. */
function slowAfterOne(): { world: World; goOn: () => void; waits: Promise<void> } {
  const gate = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  let commits = 0;
  const world = realWorld(async (point) => {
    if (point !== 'store.before-commit') return;
    commits += 1;
    if (commits < 2) return;
    waiting.resolve();
    await gate.promise;
  });
  return { world, goOn: gate.resolve, waits: waiting.promise };
}

test('a registration that another process on the same log finishes meanwhile is finished, and no trouble', async () => {
  const disk = new MemoryDisk();
  disk.isShared = true;
  const slow = slowAfterOne();
  const first = openLedgers({ world: slow.world, store: openMemoryStore(slow.world, disk) });
  const registering = registerVm(first, registration, asked());
  await slow.waits; // It has claimed, and not registered yet.

  const world = realWorld();
  const second = openLedgers({ world, store: openMemoryStore(world, disk) });
  await finishHalfDone(second, asked);
  slow.goOn();

  const { events } = await registering;
  expect(events.map(({ type }) => type)).toEqual(['VmClaimed']);
  expect(disk.streams.get(streamOf(VM))).toHaveLength(1);
  expect((await first.vms.state(streamOf(VM))).state.life).toBe('registered');
});

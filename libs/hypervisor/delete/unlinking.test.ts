import { describe, expect, test } from 'vitest';
import type { Layer } from '#ledger';
import { FileTrouble, realWorld } from '#world';
import type { Errand } from '../errand.ts';
import type { Place } from '../place.ts';
import { Steps } from '../steps.ts';
import { closeForGood, unlinkAll, unlinkClosed } from './unlinking.ts';

const TOP = '/i/top.qcow2';
const BELOW = '/i/below.qcow2';

/** Where a machine is off. `stuck` cannot be unlinked. */
function somewhere({ stuck = '' } = {}) {
  const asked: string[] = [];
  const gone: string[] = [];
  const clock = { ...realWorld().clock, nowMs: 0, monotonic: () => clock.nowMs };
  const place = {
    world: {
      clock,
      fault: async () => undefined,
      files: {
        stat: async () => null,
        syncDirectory: async () => undefined,
        unlink: async (file: string) => {
          if (file === stuck) throw new FileTrouble('EIO', file, 'the disk is broken');
          return gone.push(file) > 0;
        },
      },
    },
    images: { isInUse: async ({ file }: Layer) => asked.push(file) < 0 },
    claimedBesides: async () => [],
  } as unknown as Place;
  return { place, clock, asked, gone };
}

const layer = (file: string, backing: string | null): Layer => {
  return { device: 'dev-da', file, format: 'qcow2', backing, origin: 'ours' };
};

describe('a file that is to be unlinked', () => {
  const file = { file: TOP, format: 'qcow2', power: 'off' } as const;

  test('is looked at whether anybody has it open, and once more when that is long ago', async () => {
    const { place, clock, asked, gone } = somewhere();
    const closed = await closeForGood(place, [file]);
    expect(asked).toEqual([TOP]);
    clock.nowMs = 1_500;
    await unlinkClosed(place, TOP, closed);
    expect([asked, gone]).toEqual([[TOP, TOP], [TOP]]);
  });

  test('is nobody else’s as long as QEMU had it locked until then', async () => {
    const { place, clock, asked, gone } = somewhere();
    clock.nowMs = 900;
    const closed = await closeForGood(place, [{ ...file, lockedUntilMs: 400 }]);
    await unlinkClosed(place, TOP, closed);
    expect([asked, gone]).toEqual([[], [TOP]]);
  });

  test('is looked at when QEMU has had it locked too long ago', async () => {
    const { place, clock, asked } = somewhere();
    clock.nowMs = 1_500;
    await unlinkClosed(place, TOP, await closeForGood(place, [{ ...file, lockedUntilMs: 400 }]));
    expect(asked).toEqual([TOP]);
  });
});

test('a layer that cannot be unlinked keeps what it stands on', async () => {
  const { place, clock, gone } = somewhere({ stuck: TOP });
  const errand = { place, steps: new Steps(clock), vm: { id: 'vm' }, down: new Map() } as unknown as Errand;
  const layers = new Map([layer(TOP, BELOW), layer(BELOW, null)].map((one) => [one.file, one]));
  const plan = { unlinks: [TOP, BELOW], change: { gone: [TOP, BELOW] }, targets: [] } as never;
  const left = await unlinkAll(errand, { layers }, { plan, power: 'off' });
  expect(left.map(({ file, why }) => `${file}: ${why}`)).toEqual([
    `${TOP}: it could not be unlinked: the disk is broken`,
    `${BELOW}: it could not be unlinked: ${TOP} stands on it`,
  ]);
  expect(gone).toEqual([]);
});

import { describe, expect, test } from 'vitest';
import { type CaptureWish, planCapture } from './capture.ts';
import { Refusal } from './refusal.ts';
import type { CaptureMode } from './shapes.ts';

const MODES: readonly CaptureMode[] = ['none', 'internal', 'external'];

const wishes: CaptureWish[] = [undefined, ...MODES].flatMap((memory) =>
  MODES.flatMap((vda) =>
    MODES.flatMap((vdb) =>
      [true, false].map((diskOnly) => ({
        memory,
        diskOnly,
        disks: [
          { device: 'vda', mode: vda },
          { device: 'vdb', mode: vdb },
        ],
      })),
    ),
  ),
);

const plan = (power: 'online' | 'offline', wish: CaptureWish): string => {
  try {
    const { disksBy, memoryBy, memory } = planCapture(power, wish);
    const means = [disksBy, memoryBy].filter((word) => word !== 'none' && word !== 'in-disk');
    return `${means.join('+')} memory=${memory}`;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
};

const isRefused = (said: string): boolean => !said.includes('memory=');

const wish = (more: Partial<CaptureWish> = {}): CaptureWish => ({
  memory: undefined,
  diskOnly: false,
  disks: [{ device: 'vda', mode: 'internal' }],
  ...more,
});

describe('a capture', () => {
  test('of a running machine takes its memory along, unless told otherwise', () => {
    expect(plan('online', wish())).toBe('savevm memory=internal');
    expect(plan('online', wish({ memory: 'none' }))).toBe('transaction memory=none');
    expect(plan('online', wish({ diskOnly: true }))).toBe('transaction memory=none');
  });

  test('of a machine that is off has no memory to take', () => {
    expect(plan('offline', wish())).toBe('qemu-img memory=none');
    expect(plan('offline', wish({ memory: 'internal' }))).toBe('invalid-combination');
  });

  test('of some disks is a capture: the others are left out on purpose', () => {
    const disks: CaptureWish['disks'] = [
      { device: 'vda', mode: 'none' },
      { device: 'vdb', mode: 'internal' },
    ];
    expect(plan('online', wish({ disks }))).toBe('savevm memory=internal');
    expect(plan('offline', wish({ disks }))).toBe('qemu-img memory=none');
  });
});

describe('the memory', () => {
  const outside: CaptureWish['disks'] = [{ device: 'vda', mode: 'external' }];

  test('goes into a file of ours where no disk holds it, and is called what it was asked for as', () => {
    expect(plan('online', wish({ disks: outside }))).toBe('transaction+state-file memory=internal');
    const mixed: CaptureWish['disks'] = [...wish().disks, { device: 'vdb', mode: 'external' }];
    expect(plan('online', wish({ disks: mixed }))).toBe('transaction+state-file memory=internal');
    expect(plan('online', wish({ disks: [] }))).toBe('state-file memory=internal');
  });

  test('in a file of its own may be a stream', () => {
    const stream = { memory: 'external', memoryFormat: 'stream', memoryFile: '/m' } as const;
    expect(plan('online', wish(stream))).toBe('transaction+stream memory=external');
    expect(plan('online', wish({ ...stream, disks: [] }))).toBe('stream memory=external');
  });

  test('that is called internal is never a stream, and has no place to be named where a disk holds it', () => {
    for (const more of [
      { memoryFormat: 'stream' },
      { memoryFormat: 'state' },
      { memoryFile: '/m' },
      { memory: 'internal', memoryFormat: 'stream', disks: outside },
    ] as const) {
      expect(plan('online', wish(more)), JSON.stringify(more)).toBe('invalid-combination');
    }
    expect(plan('online', wish({ memoryFile: '/m', disks: outside }))).toBe(
      'transaction+state-file memory=internal',
    );
  });

  test('that is not captured has no place', () => {
    for (const more of [{ memory: 'none' }, { diskOnly: true }] as const) {
      expect(plan('online', wish({ ...more, memoryFile: '/m' }))).toBe('invalid-combination');
      expect(plan('online', wish({ ...more, memoryFormat: 'state' }))).toBe('invalid-combination');
    }
  });
});

test('whatever a machine that is off can do, it can do running: so a request is judged as if it ran', () => {
  const onlyOff = wishes.filter(
    (each) => isRefused(plan('online', each)) && !isRefused(plan('offline', each)),
  );
  expect(onlyOff).toEqual([]);
});

test('every wish has a plan or a refusal, in either power state', () => {
  const said = new Set(wishes.flatMap((each) => [plan('online', each), plan('offline', each)]));
  expect([...said].sort()).toEqual([
    'invalid-combination',
    'qemu-img memory=none',
    'savevm memory=internal',
    'state-file memory=external',
    'state-file memory=internal',
    'transaction memory=none',
    'transaction+state-file memory=external',
    'transaction+state-file memory=internal',
  ]);
});

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
    const { means, memory } = planCapture(power, wish);
    return `${means} memory=${memory}`;
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
    'transaction memory=none',
    'unsupported',
  ]);
});

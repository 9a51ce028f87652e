import type { World } from '#world';

/** Every place where a crash test may let the program die: around each look, each durable step and each change. */
export const FAULT_POINTS = [
  'hypervisor.before-look',
  'hypervisor.after-look',
  'hypervisor.before-dismiss',
  'hypervisor.after-dismiss',
  'hypervisor.before-begin',
  'hypervisor.after-begin',
  'hypervisor.before-act',
  'hypervisor.after-act',
  'hypervisor.before-freeze',
  'hypervisor.after-freeze',
  'hypervisor.before-thaw',
  'hypervisor.after-thaw',
  'hypervisor.before-copy',
  'hypervisor.after-copy',
  'hypervisor.before-fold',
  'hypervisor.after-fold',
  'hypervisor.before-pivot',
  'hypervisor.after-pivot',
  'hypervisor.before-unlink',
  'hypervisor.after-unlink',
  'hypervisor.before-image',
  'hypervisor.after-image',
  'hypervisor.before-undo',
  'hypervisor.after-undo',
  'hypervisor.before-removal',
  'hypervisor.after-removal',
  'hypervisor.before-power',
  'hypervisor.after-power',
  'hypervisor.before-launch',
  'hypervisor.after-launch',
  'hypervisor.before-repair',
  'hypervisor.after-repair',
  'hypervisor.before-transcript',
  'hypervisor.after-transcript',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Passes one of them. */
export const pass = (world: Pick<World, 'fault'>, point: FaultPoint): Promise<void> => world.fault(point);

import { create, type Journey, load, newest, oldest, remove, second } from './journeys.ts';

/*
 * Ways that lead to what next to no world comes to by itself. None of them is gone by chance: `npm run sim -- --journey
 * NAME` does, and whoever hunts for one mistake that shows nowhere else.
 */

const inside = create('internal', { diskOnly: true });
const outside = create('external', { diskOnly: true });

export const DETOURS = {
  'a tag below what was left': {
    isOn: true,
    commands: [inside, outside, outside, load(oldest, 'none', true), remove(oldest, 'merge')],
    aims: ['say.blockdev-del'],
  },
  'a tag reads through what is merged': {
    isOn: true,
    commands: [outside, outside, inside, remove(second, 'merge')],
    aims: [],
  },
  'a load is killed': {
    isOn: true,
    commands: [() => ({ what: 'create', memory: 'internal' }), load(newest, 'none')],
    aims: ['say.snapshot-load'],
    faults: ['load-killed'],
  },
  'a guest is frozen': {
    isOn: true,
    commands: [
      create('external', { diskOnly: true, quiesce: 'try' }),
      create('external', { diskOnly: true, quiesce: 'require' }),
    ],
    aims: ['say.guest-fsfreeze-freeze', 'hypervisor.freeze', 'say.transaction'],
    faults: ['agent-silent'],
  },
  'a capture is taken back': {
    isOn: true,
    commands: [create('external', { memory: 'external', memoryFormat: 'stream' })],
    aims: ['say.block-commit', 'say.job-complete', 'hypervisor.pivot', 'hypervisor.unlink'],
    faults: ['reply-lost-in-migration', 'reply-lost'],
  },
  'a machine that is off is loaded': {
    isOn: true,
    isOffAtLast: true,
    commands: [inside, load(newest, 'none')],
    aims: ['run.qemu-img-snapshot'],
    faults: ['load-io-error', 'image-tool-killed'],
  },
  'a load makes layers': {
    isOn: true,
    hasLauncher: false, // Who starts the machine itself makes them once more.
    commands: [outside, load(newest, 'none', true)],
    aims: [],
    faults: ['power-lost'],
  },
} as const satisfies Readonly<Record<string, Journey>>;

export type Detour = keyof typeof DETOURS;

/** The way of that name. */
export function detourNamed(name: string): Journey {
  const found = Object.entries(DETOURS).find(([known]) => known === name);
  if (found) return found[1];
  throw new Error(`there is no journey "${name}", but: ${Object.keys(DETOURS).join(', ')}`);
}

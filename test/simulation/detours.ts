import { create, type Journey, load, newest, oldest, remove } from './journeys.ts';

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
  'a load is killed': {
    isOn: true,
    commands: [() => ({ what: 'create', memory: 'internal' }), load(newest, 'none')],
    aims: ['say.snapshot-load'],
    faults: ['load-killed'],
  },
} as const satisfies Readonly<Record<string, Journey>>;

export type Detour = keyof typeof DETOURS;

/** The way of that name. */
export function detourNamed(name: string): Journey {
  const found = Object.entries(DETOURS).find(([known]) => known === name);
  if (found) return found[1];
  throw new Error(`there is no journey "${name}", but: ${Object.keys(DETOURS).join(', ')}`);
}

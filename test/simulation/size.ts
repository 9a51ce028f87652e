import type { Chance } from './chance.ts';
import { type Journey, JOURNEYS } from './journeys.ts';

/** The most there is of each in one world. */
export interface Size {
  readonly vms: number;
  readonly callers: number;
  /** What a caller asks for, and how much more when layers are to come first. */
  readonly wishes: number;
  readonly layers: number;
  /** What an owner does. */
  readonly acts: number;
  /** How often ledgerd is told to end. */
  readonly stops: number;
  /** When callers come; before a machine is there they ask in vain. */
  readonly callersAtMs: number;
  /** One world in so many has views, which are on a real disk and cost more than all else in it. */
  readonly viewsEvery: number;
  /** Which way its caller goes, beside little else; null: whatever comes to mind. */
  readonly journey: Journey | null;
}

/** Most worlds are short: little is needed for most of what goes wrong, and so there can be more of them. */
const SHORT_SHARE = 0.96;
/** Of all worlds, those in which somebody goes to where hardly anybody comes. */
const JOURNEY_SHARE = 0.33;
/** Of worlds in which nobody is to go anywhere, those whose ledgerd can start a machine. */
const LAUNCHER_SHARE = 0.6;
const SHORT: Size = {
  ...{ vms: 1, callers: 1, wishes: 1, layers: 1, acts: 2, stops: 1 },
  callersAtMs: 60,
  viewsEvery: 100,
  journey: null,
};
export const LONG: Size = {
  ...{ vms: 2, callers: 2, wishes: 5, layers: 3, acts: 5, stops: 2 },
  callersAtMs: 0,
  viewsEvery: 25,
  journey: null,
};

/** `journey`: the way that every world is to go. */
export function sizeOf(chance: Chance, isLong: boolean, journey: Journey | null = null): Size {
  if (journey) return { ...SHORT, acts: 0, journey };
  if (isLong) return LONG;
  const journeys = chance.fork('journey');
  if (journeys.happens(JOURNEY_SHARE)) return { ...SHORT, acts: 0, journey: journeys.pick(JOURNEYS) ?? null };
  return chance.fork('size').happens(SHORT_SHARE) ? SHORT : LONG;
}

/** Whether ledgerd can start the machines of a world itself. */
export const canLaunch = ({ journey }: Size, chance: Chance): boolean =>
  journey ? (journey.hasLauncher ?? true) : chance.fork('launcher').happens(LAUNCHER_SHARE);

import { parseRfc3339, realWorld, type World } from '#world';

/** Test-only. A world whose clock is moved by hand, and that counts and can be mined at its fault points. */
export interface StoryWorld {
  readonly world: World;
  /** Milliseconds since 1970. */
  now: number;
  /** Every sleep that was asked for, in ms. Nobody really sleeps. */
  readonly slept: number[];
  /** How often a fault point was passed. */
  passed(point: string): number;
  /** What happens at the next passing of a point, once. */
  mine(point: string, happens: () => Promise<void>): void;
}

export const NOON = parseRfc3339('2026-11-21T12:00:00.000Z') ?? 0;

export function storyWorld(): StoryWorld {
  const counts = new Map<string, number>();
  const mines = new Map<string, () => Promise<void>>();
  const real = realWorld(async (point) => {
    counts.set(point, (counts.get(point) ?? 0) + 1);
    const mine = mines.get(point);
    mines.delete(point);
    await mine?.();
  });
  const story: StoryWorld = {
    world: {
      ...real,
      clock: {
        now: () => story.now,
        monotonic: () => story.now,
        sleep: async (ms) => {
          story.slept.push(ms);
          await real.turn();
        },
      },
    },
    now: NOON,
    slept: [],
    passed: (point) => counts.get(point) ?? 0,
    mine: (point, happens) => void mines.set(point, happens),
  };
  return story;
}

/** The process is dead from here on. */
export const death = (): Promise<void> => new Promise(() => undefined);

export const failure = (): Promise<void> => Promise.reject(new Error('the disk shook'));

/** Lets everything go on that can. */
export async function settle(world: World, turns = 10): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await world.turn();
}

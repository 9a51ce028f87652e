import type { TakeLock } from '#world';
import { handWorld } from './house.ts';

/** The locks of a computer of which some workers share nothing else. */
export interface Locks {
  readonly lock: TakeLock;
  /** What is locked now. */
  readonly held: Set<string>;
  /** What was asked for, had or not. */
  readonly tries: string[];
  /** When it is not null, nobody can be told whether a lock is free. */
  trouble: Error | null;
}

function sharedLocks(): Locks {
  const locks: Locks = {
    held: new Set(),
    tries: [],
    trouble: null,
    lock: async (name) => {
      locks.tries.push(name);
      if (locks.trouble) throw locks.trouble;
      if (locks.held.has(name)) return null;
      locks.held.add(name);
      return { release: () => void locks.held.delete(name) };
    },
  };
  return locks;
}

/** A computer with one clock and one set of locks, for as many logs as the test has. */
export function computer() {
  const locks = sharedLocks();
  const world = { ...handWorld(), lock: locks.lock };
  /** In steps, as time goes by. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) await world.pass(1_000);
  };
  return { locks, world, pass };
}

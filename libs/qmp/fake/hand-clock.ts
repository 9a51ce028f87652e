import type { Clock } from '#world';

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

/** A clock that only moves by hand. */
export interface HandClock extends Clock {
  /** Moves on by `ms` and wakes whoever is due, the earliest first. */
  advance(ms: number): void;
  /** How many sleep. */
  readonly sleeperCount: number;
}

export function handClock(startMs = 0): HandClock {
  let nowMs = startMs;
  const sleepers = new Set<Sleeper>();
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = (): void => {
          sleepers.delete(sleeper);
          resolve();
        };
        const sleeper: Sleeper = { wakeAt: nowMs + ms, wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', wake, { once: true });
      }),
    advance(ms) {
      nowMs += ms;
      const due = [...sleepers].filter(({ wakeAt }) => wakeAt <= nowMs);
      for (const { wake } of due.toSorted((a, b) => a.wakeAt - b.wakeAt)) wake();
    },
    get sleeperCount() {
      return sleepers.size;
    },
  };
}

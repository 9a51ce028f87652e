import type { Clock, World } from '#world';

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

/**
 * A clock that jumps to whoever sleeps shortest as soon as nothing else goes on. `turn` lets everything that needs
 * no time happen first.
 */
export function jumpingClock(turn: World['turn']): Clock {
  let nowMs = 1_000_000;
  let isJumping = false;
  const sleepers = new Set<Sleeper>();

  async function jump(): Promise<void> {
    isJumping = true;
    while (sleepers.size > 0) {
      await turn();
      const [next] = [...sleepers].toSorted((a, b) => a.wakeAt - b.wakeAt);
      if (!next) break;
      nowMs = Math.max(nowMs, next.wakeAt);
      next.wake();
    }
    isJumping = false;
  }

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
        if (!isJumping) void jump();
      }),
  };
}

/** Whoever looks after a machine that ended starts it again sooner than that, or later than anybody can wait for. */
const RESTART_MS = 3_000;
/** Who looks at it now and then may have missed a process that was gone again so soon. */
const MISSED_MS = 60_000;

/** Nobody has seen a process that was gone again so soon. */
const BLINK_MS = 1_000;

/** Since when a machine is off: one that was ended right now may just be restarting. */
export class Downtime {
  /** Null: it was there from the beginning, and its first process has not ended yet. */
  #sinceMs: number | null = null;
  #upAtMs = 0;

  /** Its process is gone. */
  begin(nowMs: number): void {
    const livedMs = nowMs - this.#upAtMs;
    if (livedMs < BLINK_MS) this.#sinceMs ??= 0;
    const isMissed = this.#sinceMs !== null && livedMs < MISSED_MS;
    if (!isMissed) this.#sinceMs = nowMs;
  }

  /** It has another one. */
  end(nowMs: number): void {
    this.#upAtMs = nowMs;
    if (nowMs >= RESTART_MS) this.#sinceMs ??= 0;
  }

  /** Whether somebody who met it off all the time can know that it is not just restarting. */
  isKnown(nowMs: number): boolean {
    return nowMs - (this.#sinceMs ?? 0) >= RESTART_MS;
  }
}

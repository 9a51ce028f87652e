import type { Lock, World } from '#world';

/**
 * Keeps every other worker of this computer away from one VM's machine, whichever log it works for. The log alone fences only
 * what is written to it: a file may be gone, or a disk be reverted, before the slower of two hears that it has lost.
 */
export class MachineLock {
  readonly #world: Pick<World, 'lock'>;
  #taken: { readonly monitor: string; readonly lock: Lock } | null = null;
  #isElsewhere = false;

  constructor(world: Pick<World, 'lock'>) {
    this.#world = world;
  }

  /** Whether nobody else works on the machine of this monitor. */
  isFor(monitor: string): boolean {
    return this.#taken?.monitor === monitor;
  }

  /** Whether it could not be had when it was last asked for. */
  get isElsewhere(): boolean {
    return this.#isElsewhere;
  }

  /**
   * What keeps us from it, in words; null when it is ours. That of another monitor is let go. What was read before it is
   * taken may be what others have changed since.
   */
  async take(monitor: string): Promise<string | null> {
    if (this.isFor(monitor)) return null;
    this.release();
    this.#isElsewhere = true;
    try {
      const lock = await this.#world.lock(monitor);
      if (!lock) return 'another worker of this host has the machine';
      this.#taken = { monitor, lock };
      this.#isElsewhere = false;
      return null;
    } catch (error) {
      return `nobody can say whether another worker has the machine: ${String(error)}`;
    }
  }

  release(): void {
    this.#taken?.lock.release();
    this.#taken = null;
  }
}

import type { Lock, World } from '#world';

/**
 * Keeps every other worker of this computer away from one VM's machine, whichever log it works for. The log alone fences only
 * what is written to it: a file may be gone, or a disk be reverted, before the slower of two hears that it has lost.
 */
export class MachineLock {
  readonly #world: Pick<World, 'lock'>;
  #taken: { readonly monitor: string; readonly lock: Lock } | null = null;

  constructor(world: Pick<World, 'lock'>) {
    this.#world = world;
  }

  /** Whether nobody else works on the machine of this monitor. */
  isFor(monitor: string): boolean {
    return this.#taken?.monitor === monitor;
  }

  get isTaken(): boolean {
    return this.#taken !== null;
  }

  /** False when another worker has it. What was read before it is taken may be what that one has changed since. */
  async take(monitor: string): Promise<boolean> {
    this.release();
    const lock = await this.#world.lock(monitor);
    if (lock) this.#taken = { monitor, lock };
    return lock !== null;
  }

  release(): void {
    this.#taken?.lock.release();
    this.#taken = null;
  }
}

import type { World } from '#world';
import type { ImageAt, ImageHealth } from './image.ts';

/** Images that are known to be sound; when they are forgotten, all at once, they are checked again. */
const SOUND_IMAGES_MAX = 10_000;
/** File systems tell times in steps of up to 2 s. */
const STAMP_AGE_MIN_MS = 2_000;

/** Images that were found sound, and what their files looked like from outside. For whoever no one else writes them. */
export class SoundImages {
  readonly #world: Pick<World, 'files' | 'clock'>;
  readonly #stamps = new Map<string, string>();

  constructor(world: Pick<World, 'files' | 'clock'>) {
    this.#world = world;
  }

  /** Checks an image, unless it was sound and nobody has touched it since. Throws what `check` throws. */
  async check(at: ImageAt, check: () => Promise<ImageHealth>): Promise<ImageHealth> {
    const before = await this.#stampOf(at);
    if (before !== null && this.#stamps.get(at.file) === before) return { kind: 'clean' };
    const health = await check();
    if (health.kind !== 'clean' || before === null || before !== (await this.#stampOf(at))) return health;
    if (this.#stamps.size >= SOUND_IMAGES_MAX) this.#stamps.clear();
    this.#stamps.set(at.file, before);
    return health;
  }

  /**
   * Null when it has changed so recently that it could change again and look the same, and of a block device: what is
   * written into one by another name does not show.
   */
  async #stampOf({ file, format }: ImageAt): Promise<string | null> {
    const { files, clock } = this.#world;
    const found = await files.stat(file);
    if (
      found?.kind !== 'file' ||
      clock.now() - Math.max(found.modifiedAt, found.changedAt) < STAMP_AGE_MIN_MS
    )
      return null;
    return [format, found.identity, found.sizeBytes, found.modifiedAt, found.changedAt].join(' ');
  }
}

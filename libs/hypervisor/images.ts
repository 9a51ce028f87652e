import { z } from 'zod';
import { classifyRefusal, type ImageInfo, parseImage } from '#qmp';
import type { Finished, World } from '#world';
import { pass } from './fault-points.ts';
import { NotNow } from './not-now.ts';

/** An image on this host's file system. The format is always told, never guessed: a guest can write any header. */
export interface ImageAt {
  readonly file: string;
  readonly format: string;
}

/**
 * `alone` takes the image's lock while it reads: it fails while any QEMU has the image open, and a QEMU that starts
 * meanwhile fails too. `shared` reads past the lock.
 */
export type Access = 'alone' | 'shared';

/** qemu-img said no. */
export class ImageRefused extends Error {
  override readonly name = 'ImageRefused';
}

/** qemu-img was killed or could not be started: it did the work, a part of it, or nothing. Only looking tells. */
export class ImageUnknown extends Error {
  override readonly name = 'ImageUnknown';
}

export type ImageSight =
  | { readonly kind: 'seen'; readonly info: ImageInfo; readonly hasDirtyBitmaps: boolean }
  /** Somebody has it open. */
  | { readonly kind: 'locked'; readonly words: string }
  /** Missing, damaged, or of another format. */
  | { readonly kind: 'unreadable'; readonly words: string };

/** How an image's structure is: fit for use, in need of repair, or not to be told. */
export type ImageHealth =
  | { readonly kind: 'clean' }
  | { readonly kind: 'leaking' }
  | { readonly kind: 'damaged'; readonly words: string }
  | { readonly kind: 'locked'; readonly words: string };

/** Is told every call and how it ended. Must not throw. */
export type ImageTranscript = (program: string, args: readonly string[], finished: Finished) => void;

const INFO_TIMEOUT_MS = 10_000;
/** Writes the whole snapshot table and its refcounts; takes milliseconds on a healthy host. */
const CHANGE_TIMEOUT_MS = 120_000;
/** Reads all metadata; a killed repair is worse than a slow one. */
const CHECK_TIMEOUT_MS = 60 * 60_000;

/** What `qemu-img check` exits with: sound, corrupt, leaking only, a format that cannot be checked. */
const CHECK = { sound: 0, corrupt: 2, leaking: 3, unsupported: 63 } as const;

const HOLDS_BITMAPS = z.object({
  'format-specific': z.object({ data: z.object({ bitmaps: z.array(z.unknown()).min(1) }) }),
});

/** Images while no QEMU has them open, and their headers while one has. */
export class Images {
  readonly #world: Pick<World, 'run' | 'files' | 'fault'>;
  readonly #transcript: ImageTranscript;

  constructor(world: Pick<World, 'run' | 'files' | 'fault'>, transcript: ImageTranscript = () => undefined) {
    this.#world = world;
    this.#transcript = transcript;
  }

  /** @throws {NotNow} when qemu-img was killed, or is not there */
  async info(at: ImageAt, access: Access): Promise<ImageSight> {
    const force = access === 'shared' ? ['-U'] : [];
    const finished = await this.#told(at, ['info', '--output=json', ...force], INFO_TIMEOUT_MS);
    if (finished.code !== 0)
      return { kind: isLocked(finished) ? 'locked' : 'unreadable', words: wordsOf(finished) };
    const info: unknown = JSON.parse(finished.stdout);
    return { kind: 'seen', info: parseImage(info), hasDirtyBitmaps: HOLDS_BITMAPS.safeParse(info).success };
  }

  /** Throws `ImageRefused`, `ImageUnknown`. Makes a second one of the same tag without a word: look before. */
  capture(at: ImageAt, tag: string): Promise<void> {
    return this.#change(at, ['snapshot', '-q', '-c', tag]);
  }

  /** The disk's content only, whatever memory the snapshot holds. Safe to repeat. Throws as `capture` does. */
  load(at: ImageAt, tag: string): Promise<void> {
    return this.#change(at, ['snapshot', '-q', '-a', tag]);
  }

  /** The first one with that tag. Throws as `capture` does. */
  remove(at: ImageAt, tag: string): Promise<void> {
    return this.#change(at, ['snapshot', '-q', '-d', tag]);
  }

  /** Throws as `info` does. */
  async check(at: ImageAt): Promise<ImageHealth> {
    return healthOf(await this.#told(at, ['check', '-q'], CHECK_TIMEOUT_MS));
  }

  /** Safe to repeat. Throws as `info` does. */
  async repair(at: ImageAt, what: 'leaks' | 'all'): Promise<ImageHealth> {
    await pass(this.#world, 'hypervisor.before-repair');
    const finished = await this.#told(at, ['check', '-q', '-r', what], CHECK_TIMEOUT_MS);
    await pass(this.#world, 'hypervisor.after-repair');
    return healthOf(finished);
  }

  async #change(at: ImageAt, args: readonly string[]): Promise<void> {
    await pass(this.#world, 'hypervisor.before-image');
    const finished = await this.#run(at, args, CHANGE_TIMEOUT_MS);
    await pass(this.#world, 'hypervisor.after-image');
    if (finished.code === null) throw new ImageUnknown(wordsOf(finished));
    if (finished.code === null) throw new ImageUnknown(wordsOf(finished));
    if (finished.code !== 0) throw new ImageRefused(wordsOf(finished));
  }

  async #told(at: ImageAt, args: readonly string[], timeoutMs: number): Promise<Finished> {
    const finished = await this.#run(at, args, timeoutMs);
    if (finished.code === null) throw new NotNow('host-unreachable', wordsOf(finished));
    return finished;
  }

  async #run(at: ImageAt, args: readonly string[], timeoutMs: number): Promise<Finished> {
    const [command = '', ...rest] = args;
    const all = [command, '--image-opts', ...rest, await this.#optionsOf(at)];
    const finished = await this.#world.run('qemu-img', all, { timeoutMs });
    this.#transcript('qemu-img', all, finished);
    return finished;
  }

  /** As options a file name is never parsed: not as a protocol, not as JSON, not as a flag. */
  async #optionsOf({ file, format }: ImageAt): Promise<string> {
    const found = await this.#world.files.stat(file);
    const driver = found?.kind === 'other' ? 'host_device' : 'file'; // Block devices need a driver of their own.
    return `driver=${format},file.driver=${driver},file.filename=${file.replaceAll(',', ',,')}`;
  }
}

function healthOf(finished: Finished): ImageHealth {
  switch (finished.code) {
    case CHECK.sound:
    case CHECK.unsupported:
      return { kind: 'clean' };
    case CHECK.leaking:
      return { kind: 'leaking' };
  }
  return { kind: isLocked(finished) ? 'locked' : 'damaged', words: wordsOf(finished) };
}

const isLocked = ({ stderr }: Finished): boolean => classifyRefusal(stderr) === 'locked';

/** What qemu-img said, without its name in front of every line. */
const wordsOf = ({ code, stderr }: Finished): string =>
  stderr.replaceAll(/^qemu-img: /gm, '').trim() || `qemu-img ended with ${code ?? 'a signal'}`;

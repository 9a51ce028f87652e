import { z } from 'zod';
import { type ImageInfo, parseImage } from '#qmp';
import type { Finished, World } from '#world';
import { pass } from '../fault-points.ts';
import { NotNow } from '../not-now.ts';
import { blankImage } from './blank-image.ts';
import { readHeader } from './header.ts';
import type { ImageAt, ImageHealth } from './image.ts';
import { dataBytesIn, EMPTY_MAP_CHARACTERS_MAX, type Extent, isEmptyMap } from './image-map.ts';
import { healthOf, isLocked, wordsOf } from './qemu-img-said.ts';
import { SoundImages } from './sound-images.ts';

export type { ImageAt, ImageHealth };

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

/** Is told every call and how it ended. Must not throw. */
export type ImageTranscript = (program: string, args: readonly string[], finished: Finished) => void;

const INFO_TIMEOUT_MS = 10_000;
/** Writes the whole snapshot table and its refcounts; takes milliseconds on a healthy host. */
const CHANGE_TIMEOUT_MS = 120_000;
/** Reads the tables of a whole chain, while somebody waits for a number that need not be exact. */
const MEASURE_TIMEOUT_MS = 10_000;
/** Copies whole disks. */
const COPY_TIMEOUT_MS = 6 * 60 * 60_000;
/** Reads all metadata; a killed repair is worse than a slow one. */
const CHECK_TIMEOUT_MS = 60 * 60_000;

/** What `qemu-img compare` exits with; more is trouble. */
const COMPARE = { same: 0, different: 1 } as const;

/** To ask for it to be removed opens an image for writing, and changes nothing. */
const TAG_OF_NOBODY = 'sl-nobody';

const HOLDS_BITMAPS = z.object({
  'format-specific': z.object({ data: z.object({ bitmaps: z.array(z.unknown()).min(1) }) }),
});

/** By then somebody may have started the machine, and it have ended again: no lock tells of that. */
const BEGUN_WITHIN_MS = 1_000;

type Surroundings = Pick<World, 'run' | 'files' | 'fault' | 'clock'>;

/** Images while no QEMU has them open, and their headers while one has. */
export class Images {
  readonly #world: Surroundings;
  readonly #transcript: ImageTranscript;
  readonly #sound: SoundImages;

  /** `sound` outlives one operation: what one has checked the next need not. */
  constructor(
    world: Surroundings,
    transcript: ImageTranscript = () => undefined,
    sound = new SoundImages(world),
  ) {
    this.#world = world;
    this.#transcript = transcript;
    this.#sound = sound;
  }

  /**
   * What `qemu-img info` says. Where the header says all of that, and nobody's lock is asked for, it is read here: to
   * start a program takes fifty times as long.
   *
   * @throws {NotNow} when qemu-img was killed, or is not there
   */
  async info(at: ImageAt, access: Access): Promise<ImageSight> {
    const read = access === 'shared' ? await readHeader(this.#world.files, at) : null;
    if (read) return { kind: 'seen', info: read, hasDirtyBitmaps: false };
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

  /**
   * A new empty image, standing on `backing` when one is given. Wipes what lies there. On disk when it resolves, but for
   * its name. Where we know what qemu-img would write it is written here, as `info` reads. Throws as `capture` does, and
   * `FileTrouble`.
   */
  async create({ file, format }: ImageAt, sizeBytes: number, backing: ImageAt | null): Promise<void> {
    const blank = format === 'qcow2' ? blankImage(sizeBytes, backing) : null;
    if (blank) {
      await pass(this.#world, 'hypervisor.before-image');
      await this.#world.files.fill(file, blank);
      return pass(this.#world, 'hypervisor.after-image');
    }
    const below = backing ? ['-b', backing.file, '-F', backing.format] : [];
    return this.#do(['create', '-q', '-f', format, ...below, file, String(sizeBytes)], CHANGE_TIMEOUT_MS);
  }

  /**
   * Makes an image stand on another one, or on none. `safely` copies into it what it would no longer read from
   * below; without that only its header changes, and the caller knows that its content stays the same. Safe to
   * repeat. Throws as `capture` does.
   */
  rebase(at: ImageAt, backing: ImageAt | null, how: 'safely' | 'header-only'): Promise<void> {
    const below = backing ? ['-b', backing.file, '-F', backing.format] : ['-b', ''];
    // Otherwise the header is written before the copies are, and whoever dies between has lost them.
    const mode = how === 'safely' ? ['-t', 'writethrough'] : ['-u'];
    return this.#do(['rebase', '-q', ...mode, '-f', at.format, ...below, at.file], COPY_TIMEOUT_MS);
  }

  /**
   * Copies what an image holds itself into the one it stands on, at once after `lookAgain` or not at all. Safe to repeat.
   * Throws as `capture` does, and what `lookAgain` throws.
   */
  async commit({ file, format }: ImageAt, base: string, lookAgain: () => Promise<void>): Promise<void> {
    const { clock, run } = this.#world;
    const args = ['commit', '-q', '-d', '-f', format, '-b', base, file];
    await pass(this.#world, 'hypervisor.before-image');
    const since = clock.monotonic();
    await lookAgain();
    const isTooLate = (): boolean => clock.monotonic() - since > BEGUN_WITHIN_MS;
    const finished = await run('qemu-img', args, { timeoutMs: COPY_TIMEOUT_MS, isTooLate });
    await this.#done('qemu-img', args, finished);
  }

  /**
   * What an image holds now, without its snapshots, into another one that is there already; what `backing` holds is
   * left out. On disk when it resolves, but for the file system's own. Throws as `capture` does.
   */
  convert(from: ImageAt, to: ImageAt, backing: ImageAt | null): Promise<void> {
    const below = backing ? ['-B', backing.file, '-F', backing.format] : [];
    // The default cache for what is written is `unsafe`.
    const how = ['-q', '-n', '-t', 'writeback', '-f', from.format, '-O', to.format];
    return this.#do(['convert', ...how, ...below, from.file, to.file], COPY_TIMEOUT_MS);
  }

  /**
   * The whole file, with all snapshots inside, sharing its blocks where the file system can. Nobody may write the
   * source meanwhile. On disk when it resolves. Throws as `capture` does.
   */
  async copy(source: string, target: string): Promise<void> {
    await this.#do(['--reflink=auto', '--sparse=always', '--', source, target], COPY_TIMEOUT_MS, 'cp');
    await this.#do(['--', target], COPY_TIMEOUT_MS, 'sync');
  }

  /** Whether an image holds nothing of its own: everything in it is read from below. Throws as `info` does. */
  async isEmpty(at: ImageAt): Promise<boolean | null> {
    const args = ['map', '--output=json', '-U', aloneOf(at, await protocolOf(this.#world, at.file))];
    const finished = await this.#world.run('qemu-img', args, { timeoutMs: COPY_TIMEOUT_MS });
    this.#transcript('qemu-img', args, finished);
    if (finished.stdout.length > EMPTY_MAP_CHARACTERS_MAX) return false; // Also when it was more than we can take.
    if (finished.code === null) throw new NotNow('host-unreachable', wordsOf(finished));
    return finished.code === 0 ? isEmptyMap(finished.stdout) : null;
  }

  /** How much an image holds, in bytes, zeros left out; null when it cannot be read, or not within 10 s. */
  async dataBytes(at: ImageAt, extent: Extent): Promise<number | null> {
    const finished = await this.#run(at, ['map', '--output=json', '-U'], MEASURE_TIMEOUT_MS);
    return finished.code === 0 ? dataBytesIn(finished.stdout, extent) : null;
  }

  /**
   * Whether another process has an image open, to write it or to read it as what its own image stands on. What the
   * image itself stands on is left out. Throws as `info` does.
   */
  async isInUse(at: ImageAt): Promise<boolean> {
    const args = ['snapshot', '-q', '-d', TAG_OF_NOBODY, aloneOf(at, await protocolOf(this.#world, at.file))];
    const finished = await this.#world.run('qemu-img', args, { timeoutMs: CHANGE_TIMEOUT_MS });
    this.#transcript('qemu-img', args, finished);
    if (finished.code === null) throw new NotNow('host-unreachable', wordsOf(finished));
    return isLocked(finished);
  }

  /** Whether two images read the same to the last byte; null when one cannot be read. Throws as `info` does. */
  async isSame(one: ImageAt, other: ImageAt): Promise<boolean | null> {
    const args = ['compare', '-q', '-U', '-f', one.format, '-F', other.format, one.file, other.file];
    const finished = await this.#world.run('qemu-img', args, { timeoutMs: COPY_TIMEOUT_MS });
    this.#transcript('qemu-img', args, finished);
    if (finished.code === null) throw new NotNow('host-unreachable', wordsOf(finished));
    return finished.code > COMPARE.different ? null : finished.code === COMPARE.same;
  }

  /** What `shared` finds in an image that somebody writes means nothing. Throws as `info` does. */
  async check(at: ImageAt, access: Access = 'alone'): Promise<ImageHealth> {
    const force = access === 'shared' ? ['-U'] : [];
    return healthOf(await this.#told(at, ['check', '-q', ...force], CHECK_TIMEOUT_MS));
  }

  /**
   * The same of an image that nobody should be writing: one that was sound, and that nobody has touched since, still
   * is. Throws as `info` does.
   */
  checkUnlessKnown(at: ImageAt): Promise<ImageHealth> {
    return this.#sound.check(at, () => this.check(at));
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
    if (finished.code !== 0) throw new ImageRefused(wordsOf(finished));
  }

  async #do(args: readonly string[], timeoutMs: number, program = 'qemu-img'): Promise<void> {
    await pass(this.#world, 'hypervisor.before-image');
    await this.#done(program, args, await this.#world.run(program, args, { timeoutMs }));
  }

  async #done(program: string, args: readonly string[], finished: Finished): Promise<void> {
    this.#transcript(program, args, finished);
    await pass(this.#world, 'hypervisor.after-image');
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
    const driver = await protocolOf(this.#world, file);
    return `driver=${format},file.driver=${driver},file.filename=${file.replaceAll(',', ',,')}`;
  }
}

/** Block devices need a driver of their own. */
export async function protocolOf(
  { files }: Pick<World, 'files'>,
  file: string,
): Promise<'file' | 'host_device'> {
  return (await files.stat(file))?.kind === 'other' ? 'host_device' : 'file';
}

/** An image without what it stands on. */
const aloneOf = ({ file, format }: ImageAt, driver: string): string =>
  `json:${JSON.stringify({ driver: format, backing: null, file: { driver, filename: file } })}`;

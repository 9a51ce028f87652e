import {
  type Connect,
  ConnectTrouble,
  FileTrouble,
  type Files,
  type Finished,
  realWorld,
  type World,
} from '#world';
import { fakeImage, type FakeImage, imageTool } from './fake-image.ts';
import { type FakeDrive, FakeQemu } from './fake-qemu.ts';
import { noRival } from '../worker/no-rival.ts';
import { jumpingClock } from './jumping-clock.ts';

export const MONITOR = '/run/vm/qmp.sock';
export const IMAGES = '/images';

/** Comes before qemu-img's own answer, which `proceed` gives. */
export type ToolInterference = (args: readonly string[], proceed: () => Finished) => Finished;

const isDirectory = (path: string): boolean => ['/run/vm', IMAGES, '/'].includes(path);

/** A host in memory: images, a QEMU or none, qemu-img, a clock that jumps. */
export class FakeHost {
  readonly images = new Map<string, FakeImage>();
  /** Every call of qemu-img: its command and what follows, without the image. */
  readonly toolCalls: string[] = [];
  /** What was appended, by path. */
  readonly texts = new Map<string, string>();
  readonly passed: string[] = [];
  qemu: FakeQemu | null = null;
  /** Somebody else who listens where QEMU should. */
  stranger: Connect | null = null;
  freeBytes = 1_000_000_000;
  tool: ToolInterference = (_, proceed) => proceed();
  fault: (name: string) => Promise<void> = () => Promise.resolve();
  readonly #real = realWorld();

  /** Images called a, b, c … of these formats, and no QEMU. */
  constructor(formats: readonly string[] = ['qcow2', 'qcow2']) {
    for (const [index, format] of formats.entries()) {
      this.images.set(`${IMAGES}/${'abcdefgh'.charAt(index)}`, fakeImage(format));
    }
  }

  /** A QEMU that has all images open. Its nodes are na, nb, nc … */
  boot(): FakeQemu {
    const drives = [...this.images].map(([file, image]): FakeDrive => ({
      node: `n${file.slice(-1)}`,
      file,
      image,
    }));
    this.qemu = new FakeQemu(drives);
    return this.qemu;
  }

  die(): void {
    this.qemu?.die();
    this.qemu = null;
  }

  image(letter: string): FakeImage {
    const image = this.images.get(`${IMAGES}/${letter}`);
    if (!image) throw new Error(`no image ${letter}`);
    return image;
  }

  /** The tags of every image, e.g. `a: x y, b: x`. */
  get tags(): string {
    const lines = [...this.images].map(([file, { tags }]) => [
      file.slice(-1),
      ...tags.map(({ name }) => name),
    ]);
    return lines.map(([letter, ...names]) => `${letter}: ${names.join(' ')}`).join(', ');
  }

  readonly world: World = {
    clock: jumpingClock(this.#real.turn),
    ids: this.#real.ids,
    random: { next: () => 0.5 },
    turn: this.#real.turn,
    fault: (name) => {
      this.passed.push(name);
      return this.fault(name);
    },
    connect: (path) => {
      if (path === MONITOR && this.stranger) return this.stranger(path);
      if (path !== MONITOR || !this.qemu) {
        return Promise.reject(new ConnectTrouble('ECONNREFUSED', path, `connect ECONNREFUSED ${path}`));
      }
      return this.qemu.monitor.connect(path);
    },
    run: (_, args) => {
      this.toolCalls.push(
        args.filter((arg) => !arg.startsWith('--') && !arg.startsWith('driver=')).join(' '),
      );
      return Promise.resolve(this.tool(args, () => imageTool(this.images, args)));
    },
    files: this.#files(),
    streams: this.#real.streams,
    lock: noRival,
  };

  #files(): Files {
    const modifiedAt = 0;
    const changedAt = Number.POSITIVE_INFINITY; // A test may change it at any time.
    const exists = (path: string): boolean => path === MONITOR || this.images.has(path) || isDirectory(path);
    return {
      stat: async (path) => {
        if (path === MONITOR) return { kind: 'socket', sizeBytes: 0, identity: path, modifiedAt, changedAt };
        if (isDirectory(path))
          return { kind: 'directory', sizeBytes: 0, identity: path, modifiedAt, changedAt };
        return this.images.has(path)
          ? { kind: 'file', sizeBytes: 1, identity: path, modifiedAt, changedAt }
          : null;
      },
      realpath: async (path) => (exists(path) ? path : null),
      start: async () => null, // Nobody but qemu-img can read a fake image.
      append: async (path, text) => {
        if (path.startsWith('/full/')) throw new FileTrouble('ENOSPC', path, 'no space left on device');
        this.texts.set(path, (this.texts.get(path) ?? '') + text);
      },
      makeNew: async () => true,
      fill: async () => undefined,
      makeDirectory: async () => undefined,
      makePrivateDirectory: async () => undefined,
      rename: async () => undefined,
      list: async () => [],
      unlink: async () => false,
      syncDirectory: async () => undefined,
      syncFile: async () => undefined,
      freeBytes: async () => this.freeBytes,
    };
  }
}
